"""A log line for each action of an operator: who, what, from where, and the result."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog
from multidict import istr

from cinema.domain.ids import format_id
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext

OPERATOR_ACTED: Final = "operator_acted"

OPERATOR_HEADER: Final = istr("Cinema-Operator")
"""The name of the person, as the client says; only the `holder` of its token is proven."""

UNNAMED: Final = "unnamed"
_HARMLESS: Final = re.compile(r"[\x21-\x7e]{1,64}")

# Written at every log level, so that nobody can hide an action by changing the level first.
log = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG)
)


class Audit:
    """Writes the log lines of handlers that change something."""

    def __init__(self, proxies: TrustedProxies, name_of: Callable[[Principal], str]) -> None:
        self._proxies = proxies
        self._name_of = name_of

    @contextmanager
    def line(self, action: str, target: str, context: RequestContext) -> Iterator[None]:
        """Write a line when the block ends; `target` says what the path's id identifies."""
        write = self._writer(action, target, context)
        try:
            yield
        except Refused as refused:
            write(refused.rejection.code)
            raise
        except BaseException:
            write("failed")
            raise
        write("done")

    def _writer(self, action: str, target: str, context: RequestContext) -> Callable[[str], None]:
        request = context.request
        operator = request.headers.get(OPERATOR_HEADER, "")
        asked = {} if context.body is None else {"asked": msgspec.to_builtins(context.body)}

        def write(outcome: str) -> None:
            log.info(
                OPERATOR_ACTED,
                action=action,
                outcome=outcome,
                holder=self._name_of(context.principal),
                operator=operator if _HARMLESS.fullmatch(operator) else UNNAMED,
                address=self._proxies.client_address(request),
                request_id=context.request_id,
                **{target: format_id(context.params[0])},
                **asked,
            )

        return write
