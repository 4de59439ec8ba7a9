"""Routes of waiting rooms."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.waitingroom import examples
from cinema.features.waitingroom.page_files import PageFile
from cinema.features.waitingroom.service import WaitingRoomService
from cinema.features.waitingroom.shapes import (
    EntryInput,
    FilmRoom,
    JoinInput,
    OrderedPlace,
    PlaceLeft,
    PlaceQuery,
    RoomInput,
    RoomSettings,
    WaitingRoom,
)
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Medium, Reply, header_lines, success, success_body
from cinema.http.routes import Operation

TAG: Final = "Waiting rooms"


PAGE: Final = "/queue.html"
"""`?showtime=` names the showtime; the page leads to the seats when it is time."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class RoomParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    rooms: WaitingRoomService
    proxies: TrustedProxies
    page: Mapping[str, PageFile]


@Operation(
    method="PUT",
    path="/api/v1/showtimes/{showtime_id}/queue",
    operation_id="putWaitingRoom",
    summary="Open, change or close the waiting room of a showtime",
    description="Replaces all settings. While the room is on, customers hold seats only with a "
    "place; staff of the cinema need none. Every server knows it within a second. A room whose "
    "places were shuffled keeps its start; one that is closed and opened again is a new one, with "
    "a new seed and without places.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=RoomInput,
    request_example=examples.ROOM_INPUT,
    response=WaitingRoom,
    response_example=examples.GATHERING,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def put_room(parts: RoomParts, context: RequestContext) -> Reply:
    """Open, change or close a room."""
    (showtime_id,) = context.ids
    return success(await parts.rooms.put(showtime_id, context.principal, context.body))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/queue",
    operation_id="getWaitingRoom",
    summary="Look at the waiting room, and at your place in it",
    description="With the `token` of a place it tells its position, how long it may take, and "
    "whether it is your turn. The token shows a place and is no secret: only its customer, or "
    "whoever knows the secret of the device, can use it.",
    tag=TAG,
    query=PlaceQuery,
    response=WaitingRoom,
    response_example=examples.WAITING,
    errors=("RETRY",),
)
async def get_room(parts: RoomParts, context: RequestContext) -> Reply:
    """The room, and a place."""
    (showtime_id,) = context.ids
    return success(await parts.rooms.room(showtime_id, context.query.token))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/queue/settings",
    operation_id="getRoomSettings",
    summary="Get how the waiting room of a showtime is set",
    description="All that `PUT` takes, as it is now, with its version for `If-Match`. That of its "
    "film is another one.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    response=RoomSettings,
    response_example=examples.SETTINGS,
    etag=True,
    errors=("RETRY",),
)
async def get_settings(parts: RoomParts, context: RequestContext) -> Reply:
    """The settings, with their version for a tag."""
    (showtime_id,) = context.ids
    settings = await parts.rooms.settings(showtime_id, context.principal)
    return tagged(context.request, version_tag(settings.version), success_body(settings))


@Operation(
    method="PUT",
    path="/api/v1/showtimes/{showtime_id}/queue/settings",
    operation_id="putRoomSettings",
    summary="Change how the waiting room of a showtime is set",
    description="As `PUT /showtimes/{showtime_id}/queue`, for who has seen the settings: "
    "`If-Match` names their version, so that nobody undoes what another has set meanwhile.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=RoomInput,
    request_example=examples.ROOM_INPUT,
    response=RoomSettings,
    response_example=examples.SETTINGS,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def put_settings(parts: RoomParts, context: RequestContext) -> Reply:
    """Replace the settings that the caller has seen."""
    (showtime_id,) = context.ids
    seen = versions_seen(context.request)
    settings = await parts.rooms.put_settings(showtime_id, context.principal, context.body, seen)
    return success(settings, extra=header_lines(etag=version_tag(settings.version)))


@Operation(
    method="PUT",
    path="/api/v1/cinemas/{cinema_id}/movies/{movie_id}/queue",
    operation_id="putFilmRoom",
    summary="Open, change or close the waiting room of a film at a cinema",
    description="One room, and one order, for all showtimes of the film at this cinema, also those "
    "that are planned later; its places are got, looked at and used under any of them. As many "
    "people are let in as these showtimes have seats for together. A showtime that has a room of "
    "its own stays out of it. Otherwise as `PUT /showtimes/{showtime_id}/queue`.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=RoomInput,
    request_example=examples.ROOM_INPUT,
    response=FilmRoom,
    response_example=examples.FILM_ROOM,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def put_film_room(parts: RoomParts, context: RequestContext) -> Reply:
    """Open, change or close a film's room."""
    cinema_id, movie_id = context.ids
    rooms = parts.rooms
    return success(await rooms.put_film(cinema_id, movie_id, context.principal, context.body))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/movies/{movie_id}/queue",
    operation_id="getFilmRoom",
    summary="Look at the waiting room of a film at a cinema",
    description="For a place in it, ask for the room of any of its `showtime_ids`.",
    tag=TAG,
    response=FilmRoom,
    response_example=examples.FILM_ROOM,
    errors=("RETRY",),
)
async def get_film_room(parts: RoomParts, context: RequestContext) -> Reply:
    """A film's room."""
    cinema_id, movie_id = context.ids
    return success(await parts.rooms.film_room(cinema_id, movie_id))


@Operation(
    method="POST",
    path="/api/v1/showtimes/{showtime_id}/queue",
    operation_id="joinWaitingRoom",
    summary="Get a place in the waiting room",
    description="One for each customer or device; who asks again gets the same place. Places of "
    "before `starts_at` are shuffled then, so nobody need hurry; later ones follow as they came. "
    "With a token, the place is the caller's; without, it belongs to whoever knows "
    "`device_secret`, until it is used. If the room has `work_bits`, send a `proof`: a text with "
    "which SHA-256 of `room:bound_to:proof` begins with so many zero bits, where `room` is the "
    "room's `id` and `bound_to` your id, or SHA-256 of the secret in hexadecimal.",
    tag=TAG,
    auth="optional",
    guests=True,
    request=JoinInput,
    request_example=examples.JOIN_INPUT,
    response=WaitingRoom,
    response_example=examples.JOINED,
    status=201,
    errors=(
        *("PROOF_REQUIRED", "QUEUE_CLOSED", "QUEUE_FULL", "RATE_LIMITED", "RETRY"),
        "OUTCOME_UNKNOWN",
    ),
)
async def join_room(parts: RoomParts, context: RequestContext) -> Reply:
    """A place for the caller."""
    (showtime_id,) = context.ids
    address = parts.proxies.client_address(context.request)
    joined = await parts.rooms.join(showtime_id, context.caller, context.body, address)
    return success(joined, status=201)


@Operation(
    method="POST",
    path="/api/v1/showtimes/{showtime_id}/queue/entry",
    operation_id="enterShowtime",
    summary="Go in, when it is your turn",
    description="Uses a place that is `admitted`, once: from then on it is the caller's, who may "
    "hold seats until `until`. Repeated by the same caller, it answers the same. A guest's place "
    "goes to another guest who knows the secret of the same device.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=EntryInput,
    request_example=examples.ENTRY_INPUT,
    response=WaitingRoom,
    response_example=examples.ENTERED,
    errors=("QUEUE_CLOSED", "QUEUE_NOT_YET", "QUEUE_PLACE_ENDED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def enter_showtime(parts: RoomParts, context: RequestContext) -> Reply:
    """Let the caller in."""
    (showtime_id,) = context.ids
    return success(await parts.rooms.enter(showtime_id, context.principal, context.body))


@Operation(
    method="DELETE",
    path="/api/v1/showtimes/{showtime_id}/queue",
    operation_id="leaveWaitingRoom",
    summary="Give your place up",
    description="Holds stay as they are.",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=PlaceLeft,
    response_example=examples.LEFT,
    errors=("QUEUE_CLOSED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def leave_room(parts: RoomParts, context: RequestContext) -> Reply:
    """End the caller's place."""
    (showtime_id,) = context.ids
    return success(await parts.rooms.leave(showtime_id, context.principal))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/queue/order",
    operation_id="listShuffledPlaces",
    summary="List the shuffled places, to check their order",
    description="Empty before the start. Their order is that of SHA-256 of the room's `seed` and "
    "the 16 bytes of their ids; SHA-256 of the seed is the `commitment` that was shown before.",
    tag=TAG,
    query=PageQuery,
    response=list[OrderedPlace],
    response_example=[examples.ORDERED],
    meta=PageMeta,
    errors=("QUEUE_CLOSED", "RETRY"),
)
async def list_order(parts: RoomParts, context: RequestContext) -> Reply:
    """A page of the order."""
    (showtime_id,) = context.ids
    return listed(await parts.rooms.order(showtime_id, context.query))


@Operation(
    method="GET",
    path=PAGE,
    operation_id="waitingRoomPage",
    summary="The page of the waiting room",
    tag=TAG,
    hidden=True,
)
async def page(parts: RoomParts, context: RequestContext) -> Reply:
    """The page."""
    return _file(parts, "queue.html", context)


@Operation(
    method="GET",
    path="/queue.css",
    operation_id="waitingRoomStyles",
    summary="How the page of the waiting room looks",
    tag=TAG,
    hidden=True,
)
async def page_styles(parts: RoomParts, context: RequestContext) -> Reply:
    """Its styles."""
    return _file(parts, "queue.css", context)


@Operation(
    method="GET",
    path="/queue.js",
    operation_id="waitingRoomScript",
    summary="What the page of the waiting room does",
    tag=TAG,
    hidden=True,
)
async def page_script(parts: RoomParts, context: RequestContext) -> Reply:
    """Its script."""
    return _file(parts, "queue.js", context)


def _file(parts: RoomParts, name: str, context: RequestContext) -> Reply:
    file = parts.page[name]
    tag = f'"{blake2b(file.body, digest_size=12).hexdigest()}"'
    medium = Medium(
        content_type=file.content_type,
        cache_control="public, max-age=300",
        content_security_policy=_POLICY,
    )
    return tagged(context.request, tag, file.body, medium)


ROUTES: Final = (
    *(put_room, get_room, get_settings, put_settings, put_film_room, get_film_room),
    *(join_room, enter_showtime, leave_room, list_order),
    *(page, page_styles, page_script),
)
