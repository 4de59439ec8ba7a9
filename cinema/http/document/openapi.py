"""The OpenAPI 3.1 document, from the route table and the msgspec types."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cinema.http.conditional import tagged
from cinema.http.connections.upload import FIELD, Upload
from cinema.http.context import RequestContext
from cinema.http.document.assets import content_tag
from cinema.http.errors import ErrorKind, ErrorTable
from cinema.http.owned import Owned
from cinema.http.responses import JSON_REVALIDATED, Reply
from cinema.http.routes import WRITES, Operation, Route
from cinema.http.steps import DEVICE_TOKEN, LINK_TOKEN

Json = dict[str, Any]

OPENAPI_PATH: Final = "/api/v1/openapi.json"
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "multipart/form-data"
_FORM: Final = {
    "type": "object",
    "required": [FIELD],
    "properties": {FIELD: {"type": "string", "contentMediaType": "application/octet-stream"}},
}
_PARAMETER: Final = re.compile(r"\{(\w+)(:text)?\}")
_REF: Final = "#/components/schemas/{name}"

_REQUEST_ID: Final = "019a0c1e70007000800000ff"

_GENERAL: Final = """\
Times are UTC (RFC 3339), money is in minor units, and ids are UUIDs. Every answer is an envelope: \
`{"success": true, "data": …}` or \
`{"success": false, "error": {"code", "message", "details"}, "request_id"}`. Lists have \
`meta.next_cursor` for the next page. Your `X-Request-ID` is used and sent back. With an \
`Idempotency-Key` a request can be repeated safely: the same key gives the stored success.
"""

_SCHEMES: Final[Json] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of a registration, a login or a guest.",
    },
    "link": {
        "type": "apiKey",
        "in": "header",
        "name": str(LINK_TOKEN),
        "description": "The part after `#token=` of the link in a mail.",
    },
    "device": {
        "type": "apiKey",
        "in": "header",
        "name": str(DEVICE_TOKEN),
        "description": "The token of a scanner.",
    },
}


class DocumentHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, for its document.

    `about` is the first paragraph, and `tags` say what the operations of each tag are for.
    """

    title: str
    about: str
    tags: Mapping[str, str]
    owned: Owned | None = None


def openapi_document(
    routes: Iterable[Route],
    errors: ErrorTable,
    product: DocumentHead,
    *,
    version: str,
    server_url: str = "",
    note: str = "",
) -> Json:
    """The whole document; hidden routes are left out. `note` follows the introduction."""
    shown = [route for route in routes if not route.hidden]
    types = _types(shown)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = {_key(one): schema for one, schema in zip(types, schemas, strict=True)}
    components["Error"] = _error_schema()
    paths: dict[str, Json] = {}
    for route in shown:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(
            route, errors, product.owned, schema_of, components
        )
    used = {route.tag for route in shown}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": product.title,
            "version": version,
            "description": f"{product.about}\n\n{_GENERAL}{note}",
        },
        "servers": [{"url": server_url.rstrip("/") or "/"}],
        "tags": [
            {"name": name, "description": text}
            for name, text in product.tags.items()
            if name in used
        ],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                scheme: described
                for scheme, described in _SCHEMES.items()
                if scheme == "bearer" or any(route.auth == scheme for route in shown)
            },
        },
    }


class ServedDocument:
    """The document as it is served; made once, in a thread, when somebody first asks for it.

    It takes half a second of a processor, for which no start of a node has to wait.
    """

    def __init__(self, make: Callable[[], Json]) -> None:
        self._make = make
        self._made: asyncio.Future[tuple[bytes, str]] | None = None

    async def body_and_tag(self) -> tuple[bytes, str]:
        """What is sent, and its tag."""
        if self._made is None:
            self._made = asyncio.get_running_loop().run_in_executor(None, self._encoded)
        # Others may wait for it when the first who asked has hung up.
        return await asyncio.shield(self._made)

    def _encoded(self) -> tuple[bytes, str]:
        body = msgspec.json.encode(self._make())
        return body, content_tag(body)


@Operation(
    method="GET",
    path=OPENAPI_PATH,
    operation_id="openapi",
    summary="This document",
    tag="Operations",
    hidden=True,
)
async def get_openapi(document: ServedDocument, context: RequestContext) -> Reply:
    """The document, or 304 if the client has it already."""
    body, tag = await document.body_and_tag()
    return tagged(context.request, tag, body, JSON_REVALIDATED)


ROUTES: Final = (get_openapi,)


def error_codes(route: Route, errors: ErrorTable) -> list[str]:
    """All codes that an operation may answer, in the order of `errors`."""
    codes = {"INTERNAL", *route.errors}
    of_accounts = route.path.startswith("/api/")
    if "{" in route.path:
        codes.add("NOT_FOUND")
    if route.auth not in {"none", "lenient"}:
        codes.add("UNAUTHENTICATED")
        if route.auth == "bearer" and route.method in WRITES and of_accounts:
            codes.add("RATE_LIMITED")
    takes_tokens = route.auth in {"bearer", "optional", "lenient"}
    if route.roles or (of_accounts and takes_tokens and not route.guests):
        codes.add("FORBIDDEN")
    if route.request is not None:
        codes |= {"REQUEST_TIMEOUT", "PAYLOAD_TOO_LARGE", "BAD_REQUEST"}
        if route.request is Upload:
            codes |= {"UNSUPPORTED_MEDIA_TYPE", "VALIDATION_ERROR", "OVERLOADED"}
        elif route.request is not bytes:
            codes |= {"UNSUPPORTED_MEDIA_TYPE", "MALFORMED_JSON", "VALIDATION_ERROR"}
    if route.query is not None:
        codes |= {"VALIDATION_ERROR", "URI_TOO_LONG"}
    if route.idempotent:
        codes |= {"VALIDATION_ERROR", "IDEMPOTENCY_MISMATCH"}
    if route.if_match:
        codes.add("PRECONDITION_FAILED")
    if route.if_match is True:
        codes.add("PRECONDITION_REQUIRED")
    return [code for code in errors if code in codes]


def _operation(
    route: Route,
    errors: ErrorTable,
    owned: Owned | None,
    schema_of: dict[str, Json],
    components: dict[str, Any],
) -> Json:
    operation: Json = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": {
            str(route.status): _success(route, owned, schema_of),
            **_refusals(route, errors),
        },
    }
    if route.later_status is not None:
        operation["responses"][str(route.later_status)] = _success(route, owned, schema_of)
    if _is_conditional(route):
        operation["responses"]["304"] = {"description": "You have it already (`If-None-Match`)."}
    if route.deprecation is not None:
        operation["deprecated"] = True
    if description := _description(route):
        operation["description"] = description
    if parameters := _parameters(route, components, schema_of):
        operation["parameters"] = parameters
    if route.auth != "none":
        anonymous: list[Json] = [{}] if route.auth in {"optional", "lenient"} else []
        scheme = "link" if route.auth == "link" else "bearer"
        operation["security"] = [*anonymous, {scheme: []}]
        if route.auth == "device":
            operation["security"].append({"device": []})
    if route.request is bytes:
        operation["requestBody"] = {"required": True, "content": {"*/*": {}}}
    elif route.request is Upload:
        operation["requestBody"] = {"required": True, "content": {FORM_TYPE: {"schema": _FORM}}}
    elif route.request is not None:
        content: Json = {"schema": schema_of[_key(route.request)]}
        if route.request_example is not None:
            content["example"] = route.request_example
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON_TYPE: content},
        }
    return operation


def _description(route: Route) -> str:
    """What is said of an operation, and of who may call it and how long."""
    parts = [route.description] if route.description else []
    if route.roles:
        parts.append(f"Roles: {', '.join(sorted(route.roles))}.")
    elif route.auth == "bearer" and route.guests:
        parts.append("Guests may call this too.")
    if route.deprecation is not None:
        ends = route.deprecation.sunset
        parts.append(f"Deprecated, ends on {ends}. Use {route.deprecation.instead} instead.")
    return "\n\n".join(parts)


def _parameters(route: Route, components: dict[str, Any], schema_of: dict[str, Json]) -> list[Json]:
    parameters: list[Json] = []
    for name, is_text in _PARAMETER.findall(route.path):
        schema: Json = {"type": "string"} if is_text else {"type": "string", "format": "uuid"}
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if route.query is not None:
        described = components[schema_of[_key(route.query)]["$ref"].rpartition("/")[2]]
        required = described.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in described["properties"].items()
        ]
    if route.idempotent:
        schema = {"type": "string", "pattern": "^[ -~]{1,128}$"}
        about = "Makes the request safe to repeat: the same key gives the stored success."
        parameters.append(_header("Idempotency-Key", schema, about))
    if _is_conditional(route):
        about = "The `ETag` that you have; 304 if it is still the same."
        parameters.append(_header("If-None-Match", {"type": "string"}, about))
    if route.if_match:
        about = 'The `ETag` of the version to change, such as `"3"`; `*` is refused.'
        is_required = route.if_match is True
        parameters.append(_header("If-Match", {"type": "string"}, about, required=is_required))
    return parameters


def _is_conditional(route: Route) -> bool:
    """Whether a client that has the answer already can be told so; an `ETag` alone is no such."""
    return route.etag and route.method not in WRITES


def _header(name: str, schema: Json, description: str, *, required: bool = False) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "schema": schema,
        "description": description,
    }


def _success(route: Route, owned: Owned | None, schema_of: dict[str, Json]) -> Json:
    if route.websocket:
        return {"description": "The connection speaks WebSocket from here on."}
    response: Json = {"description": "Success."}
    if route.response is None:
        kind = "object" if route.media_type == JSON_TYPE else "string"
        response["content"] = {route.media_type: {"schema": {"type": kind}}}
        return response
    properties: Json = {
        "success": {"const": True},
        "data": schema_of[_key(route.response)],
        "message": {"type": "string"},
    }
    required = ["success", "data"]
    if route.meta is not None:
        properties["meta"] = schema_of[_key(route.meta)]
        required.append("meta")
    content: Json = {"schema": {"type": "object", "required": required, "properties": properties}}
    if route.response_example is not None:
        content["example"] = {"success": True, "data": route.response_example}
        if route.meta is not None:
            content["example"]["meta"] = route.meta_example or {"next_cursor": None}
    others = {media_type: {"schema": {"type": "string"}} for media_type in route.also}
    response["content"] = {JSON_TYPE: content, **others}
    headers: Json = {}
    if route.etag:
        headers["ETag"] = {"schema": {"type": "string"}}
    if owned is not None and route.path.startswith(owned.path):
        headers[owned.header] = {"description": owned.about, "schema": {"type": "string"}}
    if headers:
        response["headers"] = headers
    return response


def _refusals(route: Route, errors: ErrorTable) -> dict[str, Json]:
    by_status: dict[int, dict[str, ErrorKind]] = {}
    for code in error_codes(route, errors):
        by_status.setdefault(errors[code].status, {})[code] = errors[code]
    return {str(status): _refusal(codes) for status, codes in sorted(by_status.items())}


def _refusal(errors: ErrorTable) -> Json:
    schema = {
        "allOf": [
            {"$ref": _REF.format(name="Error")},
            {"properties": {"error": {"properties": {"code": {"enum": list(errors)}}}}},
        ]
    }
    examples = {
        code: {
            "summary": kind.message,
            "value": {
                "success": False,
                "error": {"code": code, "message": kind.message, "details": {}},
                "request_id": _REQUEST_ID,
            },
        }
        for code, kind in errors.items()
    }
    refusal: Json = {
        "description": "\n".join(f"- `{code}`: {kind.message}" for code, kind in errors.items()),
        "content": {JSON_TYPE: {"schema": schema, "examples": examples}},
    }
    if any(kind.retry_after_s is not None for kind in errors.values()):
        refusal["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    return refusal


def _error_schema() -> Json:
    return {
        "title": "Error",
        "type": "object",
        "required": ["success", "error", "request_id"],
        "properties": {
            "success": {"const": False},
            "error": {
                "type": "object",
                "required": ["code", "message", "details"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "details": {"type": "object"},
                },
            },
            "request_id": {"type": "string"},
        },
    }


def _types(routes: Sequence[Route]) -> list[Any]:
    found: dict[str, Any] = {}
    for route in routes:
        for one in (route.request, route.response, route.query, route.meta):
            if one is not None and one not in {bytes, Upload}:
                found.setdefault(_key(one), one)
    return list(found.values())


def _key(one: Any) -> str:
    return f"{getattr(one, '__module__', '')}.{one!r}"
