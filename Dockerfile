# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
COPY requirements/production.lock /tmp/production.lock
RUN python -m venv /opt/cinema \
    && /opt/cinema/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps \
        --require-hashes -r /tmp/production.lock \
    && /opt/cinema/bin/pip uninstall --yes pip
COPY cinema /opt/app/cinema
RUN /opt/cinema/bin/python -m compileall -q /opt/app

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/cinema --create-home cinema
COPY --from=build /opt/cinema /opt/cinema
COPY --from=build /opt/app /opt/app
ENV PATH=/opt/cinema/bin:$PATH \
    PYTHONPATH=/opt/app \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8080 \
    DATA_DIR=/var/lib/cinema
USER cinema
WORKDIR /var/lib/cinema
VOLUME /var/lib/cinema
EXPOSE 8080 7400
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-m", "cinema", "healthcheck"]
# Exec form: the server is process 1 and hears SIGTERM itself.
ENTRYPOINT ["python", "-m", "cinema"]
CMD ["serve"]
