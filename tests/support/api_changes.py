"""What in a later OpenAPI document would break clients that were written to an earlier one.

A client sends what the earlier document allows and reads what it promises. So whatever may be sent
must still be taken, and whatever is read must still be there, of the same type. New operations,
optional parameters, fields of answers and error codes break nobody.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

_LIMITS_UP = ("minimum", "minLength", "minItems", "exclusiveMinimum", "minProperties")
_LIMITS_DOWN = ("maximum", "maxLength", "maxItems", "exclusiveMaximum", "maxProperties")
_EQUAL = ("pattern", "format", "const")


def breaking_changes(before: Json, after: Json) -> list[str]:
    """One line for each change that breaks somebody; none if clients may stay as they are."""
    compared = _Compared(before, after)
    found: list[str] = []
    for path, methods in before["paths"].items():
        for method, operation in methods.items():
            where = f"{method.upper()} {path}"
            later = after["paths"].get(path, {}).get(method)
            if later is None:
                found.append(f"{where}: is gone")
                continue
            found += [f"{where}: {change}" for change in compared.operations(operation, later)]
    return sorted(set(found))


def essence(document: Json) -> Json:
    """A document without what is for people only, so that it is small and changes seldom."""
    return {
        "paths": _bare(document["paths"]),
        "components": {"schemas": _bare(document["components"]["schemas"])},
    }


def _bare(value: Any, *, named: bool = True) -> Any:
    """Without examples and texts; `named` where keys are names that somebody has chosen."""
    if isinstance(value, list):
        return [_bare(one, named=False) for one in value]
    if not isinstance(value, dict):
        return value
    for_people = (
        set() if named else {"description", "summary", "example", "examples", "tags", "title"}
    )
    return {
        key: _bare(one, named=key in {"properties", "schemas"} or (named and key.startswith("/")))
        for key, one in value.items()
        if key not in for_people
    }


class _Compared:
    """Two documents; schemas that refer to each other are compared once."""

    def __init__(self, before: Json, after: Json) -> None:
        self._before = before["components"]["schemas"]
        self._after = after["components"]["schemas"]
        self._seen: set[tuple[str, str, bool]] = set()

    def operations(self, before: Json, after: Json) -> Iterator[str]:
        """What breaks between two declarations of one operation."""
        self._seen.clear()
        if _needs_token(after) and not _needs_token(before):
            yield "needs a token now"
        known = {(one["in"], one["name"]): one for one in before.get("parameters", ())}
        later = {(one["in"], one["name"]): one for one in after.get("parameters", ())}
        for key, one in known.items():
            # Unknown parameters of a query are refused.
            if key not in later:
                if key[0] == "query":
                    yield f"parameter {key[1]} is gone"
                continue
            if later[key].get("required") and not one.get("required"):
                yield f"parameter {key[1]} is required now"
            yield from self._taken(one["schema"], later[key]["schema"], f"parameter {key[1]}")
        for key, one in later.items():
            if key not in known and one.get("required"):
                yield f"parameter {key[1]} is required now"
        yield from self._bodies(before.get("requestBody"), after.get("requestBody"))
        for status, response in before["responses"].items():
            if not status.startswith("2"):
                continue
            if status not in after["responses"]:
                yield f"answers no {status} any more"
                continue
            yield from self._contents(response, after["responses"][status], f"answer {status}")

    def _bodies(self, before: Json | None, after: Json | None) -> Iterator[str]:
        if after is None:
            if before is not None:
                yield "takes no body any more"
            return
        if after.get("required") and not (before or {}).get("required"):
            yield "the body is required now"
        for kind, content in (before or {}).get("content", {}).items():
            if kind not in after["content"]:
                yield f"takes no {kind} any more"
            elif "schema" in content:
                later = after["content"][kind].get("schema", {})
                yield from self._taken(content["schema"], later, "body")

    def _contents(self, before: Json, after: Json, where: str) -> Iterator[str]:
        for kind, content in before.get("content", {}).items():
            if kind not in after.get("content", {}):
                yield f"{where}: is no {kind} any more"
            elif "schema" in content:
                later = after["content"][kind].get("schema", {})
                yield from self._given(content["schema"], later, where)

    # --- what clients send

    def _taken(self, before: Json, after: Json, where: str) -> Iterator[str]:
        """Whatever fits `before` has to fit `after`."""
        if self._is_known(before, after, sent=True):
            return
        before, after = self._resolved(before, after)
        options = _options(before)
        later = _options(after)
        if len(options) > 1 or len(later) > 1:
            for one in options:
                tries = [list(self._taken(one, other, where)) for other in later]
                if [] not in tries:
                    yield min(tries, key=len)[0] if tries else f"{where}: fits nothing any more"
            return
        yield from _narrower(before, after, where)
        properties, now = before.get("properties", {}), after.get("properties", {})
        for name, schema in properties.items():
            if name in now:
                yield from self._taken(schema, now[name], f"{where}.{name}")
            elif after.get("additionalProperties") is False:
                yield f"{where}.{name}: is refused now"
        for name in after.get("required", ()):
            if name not in before.get("required", ()):
                yield f"{where}.{name}: is required now"
        for part in ("items", "additionalProperties"):
            if isinstance(before.get(part), dict) and isinstance(after.get(part), dict):
                yield from self._taken(before[part], after[part], f"{where}[]")

    # --- what clients read

    def _given(self, before: Json, after: Json, where: str) -> Iterator[str]:
        """Whatever is promised in `before` has to be there in `after`, of no other type."""
        if self._is_known(before, after, sent=False):
            return
        before, after = self._resolved(before, after)
        options, later = _options(before), _options(after)
        if len(options) > 1 or len(later) > 1:
            for other in later:
                tries = [list(self._given(one, other, where)) for one in options]
                if [] not in tries:
                    yield min(tries, key=len)[0] if tries else f"{where}: is something else now"
            return
        yield from _wider(before, after, where)
        for name, schema in before.get("properties", {}).items():
            if name in after.get("properties", {}):
                yield from self._given(schema, after["properties"][name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: is gone"
        for part in ("items", "additionalProperties"):
            if not isinstance(before.get(part), dict):
                continue
            if isinstance(after.get(part), dict):
                yield from self._given(before[part], after[part], f"{where}[]")
            else:
                yield f"{where}[]: may be anything now"

    # --- references

    def _is_known(self, before: Json, after: Json, *, sent: bool) -> bool:
        pair = (before.get("$ref", ""), after.get("$ref", ""), sent)
        if not pair[0] or not pair[1]:
            return False
        if pair in self._seen:
            return True
        self._seen.add(pair)
        return False

    def _resolved(self, before: Json, after: Json) -> tuple[Json, Json]:
        return _resolve(before, self._before), _resolve(after, self._after)


def _resolve(schema: Json, schemas: Mapping[str, Json]) -> Json:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _options(schema: Json) -> list[Json]:
    options: list[Json] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return options


def _types(schema: Json) -> set[str]:
    if "enum" in schema and "type" not in schema:
        return {_type_of(one) for one in schema["enum"]}
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    return {str: "string", bool: "boolean", int: "integer", float: "number"}[type(value)]


def _narrower(before: Json, after: Json, where: str) -> Iterator[str]:
    types, now = _types(before), _types(after)
    if now and not (types and types <= now | ({"integer"} if "number" in now else set())):
        yield f"{where}: takes only {sorted(now)} now"
    if "enum" in after:
        gone = [one for one in before.get("enum", ()) if one not in after["enum"]]
        if gone or "enum" not in before:
            yield f"{where}: takes only {after['enum']} now"
    for name in _LIMITS_UP:
        if name in after and after[name] > before.get(name, float("-inf")):
            yield f"{where}: {name} is {after[name]} now"
    for name in _LIMITS_DOWN:
        if name in after and after[name] < before.get(name, float("inf")):
            yield f"{where}: {name} is {after[name]} now"
    for name in _EQUAL:
        if name in after and after[name] != before.get(name):
            yield f"{where}: {name} is {after[name]} now"


def _wider(before: Json, after: Json, where: str) -> Iterator[str]:
    types, now = _types(before), _types(after)
    if types and not (now and now <= types):
        yield f"{where}: is {sorted(now - types) or 'anything'} now"
    for name in before.get("required", ()):
        if name not in after.get("required", ()):
            yield f"{where}.{name}: is not always there any more"


def _needs_token(operation: Json) -> bool:
    return {} not in operation.get("security", [{}])


def main() -> None:
    """Print the essence of a running server's document."""
    with urllib.request.urlopen(f"{sys.argv[1].rstrip('/')}/api/v1/openapi.json") as answer:
        kept = essence(json.load(answer))
    json.dump(kept, sys.stdout, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
