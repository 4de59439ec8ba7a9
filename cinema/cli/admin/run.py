"""`cinema admin`: finds the server, runs the command, and shows the result."""

from __future__ import annotations

import getpass
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cinema.cli.admin.client import ControlClient, ControlReply
from cinema.cli.admin.commands import perform
from cinema.cli.admin.failures import FAILED, NOT_ALLOWED, UNREACHABLE, USAGE, Failure
from cinema.settings import Settings, announced, found_control_token, parsed_tokens, url_of

_UNSPEAKABLE: Final = re.compile(r"[^\x21-\x7e]")
_NAME_LIMIT: Final = 64


def run_admin(
    settings: Settings,
    options: Mapping[str, Any],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Run one command; returns its exit code. A view that is live has a `pause` between looks."""
    as_json = options["json"]
    try:
        if options["watch"] and as_json:
            raise Failure("USAGE", "--watch is for people, --json for machines.", USAGE)
        client = found_client(settings, options["url"])
        if options["watch"]:
            from cinema.cli.admin.live import watch

            watch(client, options, pause=pause)
            return 0
        _ask_first(options)
        reply = perform(client, options)
    except Failure as failure:
        _tell(failure, as_json=as_json)
        return failure.exit_code
    if as_json:
        _write({"data": reply.data} | ({} if reply.meta is None else {"meta": reply.meta}))
    else:
        _show(reply, options)
    return 0


def found_client(settings: Settings, url: str | None) -> ControlClient:
    """A client of the chosen server; raises `Failure` if it is not clear or not reachable."""
    try:
        token = found_control_token(settings)
    except OSError as error:
        told = f"The token in {settings.data_dir} cannot be read: {error.strerror or error}."
        raise Failure("NO_TOKEN", told, NOT_ALLOWED) from error
    if not token:
        told = (
            f"There is no token: neither CONTROL_TOKEN, nor one in {settings.data_dir}. "
            "If the server's DATA_DIR is another folder, name it with --data-dir."
        )
        raise Failure("NO_TOKEN", told, NOT_ALLOWED)
    newest = parsed_tokens(token)[0].secret
    operator = _operator()
    addresses = [url] if url else _addresses(settings)
    for address in addresses[:-1]:
        client = ControlClient(address, newest, operator=operator)
        try:
            client.get("/nodes")
        except Failure as failure:
            # The file of a server that was killed, or whose port another has now: try the next one.
            if failure.exit_code not in {UNREACHABLE, NOT_ALLOWED}:
                raise
            continue
        return client
    return ControlClient(addresses[-1], newest, operator=operator)


def _addresses(settings: Settings) -> Sequence[str]:
    if settings.control_port:
        return [url_of(settings.control_host, settings.control_port)]
    found = announced(settings.data_dir)
    if not found:
        told = (
            f"No server has noted its address in {settings.data_dir}. If one runs, name its "
            "DATA_DIR with --data-dir, or its control endpoint with --url."
        )
        raise Failure("UNREACHABLE", told, UNREACHABLE)
    return found


def _operator() -> str:
    """The operator's name for the server's log, without characters that a header cannot have."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return _UNSPEAKABLE.sub("-", f"{user}@{socket.gethostname()}")[:_NAME_LIMIT]


def _ask_first(options: Mapping[str, Any]) -> None:
    """Ask at a terminal, so that nobody drains a node by mistake."""
    if options["action"] != "drain" or options["yes"] or not sys.stdin.isatty():
        return
    sys.stderr.write(f"Drain {options['node'] or 'this node'}, which then ends? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Failure("CANCELLED", "Nothing was done.", FAILED)


def _show(reply: ControlReply, options: Mapping[str, Any]) -> None:
    from cinema.cli.admin.views import console, view

    console().print(view(reply, options))


def _tell(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        told = {"code": failure.code, "message": failure.message, "details": failure.details}
        _write({"error": told})
        return
    sys.stderr.write(f"cinema: {failure.message}\n")
    for name, value in failure.details.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        sys.stderr.write(f"cinema:   {name}: {shown}\n")


def _write(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
