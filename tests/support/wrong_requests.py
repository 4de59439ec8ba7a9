"""Whether a request that Schemathesis takes for wrong is still wrong as it was sent.

It makes a value wrong first and writes it into the request afterwards. Some values leave nothing
there: an empty list in the query. The server never sees them, and may well answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis
from schemathesis.core.mutations import Mutation
from schemathesis.core.parameters import ParameterLocation


def is_wrong_as_sent(
    case: schemathesis.Case, request: requests.PreparedRequest, own_headers: Mapping[str, str]
) -> bool:
    """Whether anything that was made wrong can be seen in the request.

    `own_headers` are those of the test, which replace what Schemathesis made up.
    """
    mutations = case.meta.phase.data.mutations if case.meta is not None else ()
    if not mutations:
        return True  # Nobody says what was made wrong.
    return any(_is_seen(one, case.operation, request, own_headers) for one in mutations)


def _is_seen(
    mutation: Mutation,
    operation: schemathesis.APIOperation,
    request: requests.PreparedRequest,
    own_headers: Mapping[str, str],
) -> bool:
    """A parameter is seen if it was sent, or is missing although it is required."""
    sent = _names_sent(mutation.parameter_location, request)
    if sent is None:
        return True  # The path and the body are always sent.
    declared = {
        one.name: one.is_required
        for one in operation.iter_parameters()
        if one.location == mutation.parameter_location
    }
    if mutation.parameter_location == ParameterLocation.HEADER:
        sent = {name.lower() for name in sent}
        declared = {name.lower(): required for name, required in declared.items()}
    if mutation.parameter is None:
        return bool(sent - declared.keys())
    name = mutation.parameter
    if mutation.parameter_location == ParameterLocation.HEADER:
        name = name.lower()
        if name in {one.lower() for one in own_headers} and name in sent:
            return False
    return name in sent or declared.get(name, True)


def _names_sent(location: ParameterLocation, request: requests.PreparedRequest) -> set[str] | None:
    """The names of parameters in a part of the request; None for a part without names."""
    match location:
        case ParameterLocation.QUERY:
            query = urlsplit(request.url or "").query
            return {name for name, _ in parse_qsl(str(query), keep_blank_values=True)}
        case ParameterLocation.HEADER:
            return set(request.headers)
        case ParameterLocation.COOKIE:
            return set(SimpleCookie(request.headers.get("Cookie", "")))
        case _:
            return None
