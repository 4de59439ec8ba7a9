"""Shows a view repeatedly, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cinema.cli.admin.client import ControlClient
from cinema.cli.admin.commands import perform
from cinema.cli.admin.failures import UNREACHABLE, Failure
from cinema.cli.admin.views import console, view


def watch(
    client: ControlClient,
    options: Mapping[str, Any],
    *,
    pause: Callable[[float], None] = time.sleep,
    screen: Console | None = None,
) -> None:
    """Show a view every `interval` seconds: in place at a terminal, one after the other in a pipe.

    If the server goes away after the first view, it waits; any other `Failure` ends it.
    """
    screen = screen or console()
    looks = _looks(client, options, pause)
    try:
        if not screen.is_terminal:
            for look in looks:
                screen.print(look)
        with Live(next(looks), console=screen, auto_refresh=False) as live:
            for look in looks:
                live.update(look, refresh=True)
    except KeyboardInterrupt:
        return


def _looks(
    client: ControlClient, options: Mapping[str, Any], pause: Callable[[float], None]
) -> Iterator[RenderableType]:
    latest = _look(client, options)
    yield latest
    while True:
        pause(options["interval"])
        try:
            latest = _look(client, options)
        except Failure as failure:
            if failure.exit_code != UNREACHABLE:
                raise
            yield Group(latest, Text(failure.message, "bold red"))
        else:
            yield latest


def _look(client: ControlClient, options: Mapping[str, Any]) -> RenderableType:
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    return Group(view(perform(client, options), options), Text(f"{client.url}  {now}", "dim"))
