"""Waiting rooms: opened by managers, joined, looked at, entered and left by customers."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import NoShowtime, ReadSeats, SeatsSeen
from cinema.domain.paging import BY_NUMBER, Page, PageQuery, after, page
from cinema.domain.principal import GUEST, Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import to_us
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.accounts.throttles import Throttles, address_digest
from cinema.features.refusals import found, granted
from cinema.features.waitingroom.gate import Gates, RoomGate
from cinema.features.waitingroom.place_store import (
    HANDED_ON_MAX,
    KeptPlace,
    NotJoined,
    PlacesRepository,
)
from cinema.features.waitingroom.rules import (
    SEED_BYTES,
    commitment,
    device_digest,
    estimate_s,
    has_work,
    poll_after_s,
    poll_for_start_s,
)
from cinema.features.waitingroom.shapes import (
    PLACES_MAX,
    EntryInput,
    FilmRoom,
    JoinInput,
    OrderedPlace,
    Place,
    PlaceLeft,
    PlaceStatus,
    RoomInput,
    RoomSettings,
    RoomStatus,
    WaitingRoom,
)
from cinema.features.waitingroom.store import NO_ROOM, Room, RoomOf, RoomsRepository
from cinema.storage.encryption import CannotOpen, Cipher

ADDRESS_SHARE: Final = "queue_address"
"""The name in metrics of the share of an address, which is refused as a throttle is."""

SHARE_RETRY_AFTER_S: Final = 60


class PlaceTokens:
    """Names of places that nobody can make up; each is good at the showtimes of its room."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def token(self, subject: UUID, place_id: UUID) -> str:
        """The token of a place in a room of this showtime or film."""
        sealed = self._cipher.seal(place_id.bytes, place=_sealed_for(subject))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def place_of(self, subject: UUID, token: str) -> UUID:
        """The place of a token. Refuses NOT_FOUND."""
        try:
            sealed = base64.b64decode(
                token + "=" * (-len(token) % 4), altchars=b"-_", validate=True
            )
            return UUID(bytes=self._cipher.open(sealed, place=_sealed_for(subject)))
        except (CannotOpen, binascii.Error, ValueError):
            raise refuse("NOT_FOUND", "This waiting room has no such place.") from None


def _sealed_for(subject: UUID) -> bytes:
    return b"waiting_places:" + subject.bytes


def _subject(room: Room) -> UUID:
    """The showtime or the film of a room, by which its tokens are sealed."""
    subject = room.showtime_id if room.movie_id is None else room.movie_id
    assert subject is not None
    return subject


class WaitingRoomService:
    """Use cases of waiting rooms; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        store: RoomsRepository,
        places: PlacesRepository,
        gates: Gates,
        dispatch: Dispatch,
        tokens: PlaceTokens,
        throttles: Throttles,
        *,
        new_id: Callable[[], UUID],
        random: Callable[[int], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._places = places
        self._gates = gates
        self._dispatch = dispatch
        self._tokens = tokens
        self._throttles = throttles
        self._new_id = new_id
        self._random = random
        self._now = now
        self.joined = 0
        self.entered = 0
        # A place has its number for ever, and waits as long as that has not been called.
        self._numbers: OrderedDict[UUID, tuple[UUID, int | None]] = OrderedDict()
        self._learned: set[UUID] = set()

    # --- managers

    async def settings(self, showtime_id: UUID, by: Principal) -> RoomSettings:
        """How a showtime's own room is set. Refuses NOT_FOUND, FORBIDDEN, RETRY."""
        showtime = await self._store.showtime(showtime_id)
        require_own_cinema(by, showtime.cinema_id)
        return await self._store.settings(showtime_id) or _no_settings(showtime_id)

    async def put_settings(
        self,
        showtime_id: UUID,
        by: Principal,
        request: RoomInput,
        seen: frozenset[int] | None,
    ) -> RoomSettings:
        """The same as `put`, for who has seen the settings before.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED (without `seen`), PRECONDITION_FAILED.
        """
        if seen is None:
            raise refuse("PRECONDITION_REQUIRED")
        await self.put(showtime_id, by, request, seen)
        return await self.settings(showtime_id, by)

    async def put(
        self,
        showtime_id: UUID,
        by: Principal,
        request: RoomInput,
        seen: frozenset[int] | None = None,
    ) -> WaitingRoom:
        """Open, change or close a room; with `seen`, only one of these versions of it.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_FAILED.
        """
        showtime = await self._store.showtime(showtime_id)
        require_own_cinema(by, showtime.cinema_id)
        now = self._now()
        if request.mode == "off":
            room_id = await self._store.close(showtime_id, now, seen)
            if room_id is not None:
                self._gates.drop(room_id)
            return _no_room(showtime_id)
        room = await self._opened(request, showtime, now, showtime_id=showtime_id, seen=seen)
        return self._shown(self._gates.put(room).room, showtime_id, None)

    async def put_film(
        self, cinema_id: UUID, movie_id: UUID, by: Principal, request: RoomInput
    ) -> FilmRoom:
        """Open, change or close the room of a film at a cinema. Refuses NOT_FOUND, FORBIDDEN."""
        now = self._now()
        require_own_cinema(by, cinema_id)
        if request.mode == "off":
            room_id = await self._store.close_film(cinema_id, movie_id, now)
            if room_id is not None:
                self._gates.drop(room_id)
            return _no_film_room(cinema_id, movie_id)
        showtimes = await self._store.film(cinema_id, movie_id, now)
        room = await self._opened(request, showtimes, now, movie_id=movie_id)
        return self._film_shown(self._gates.put(room), movie_id)

    async def _opened(
        self,
        request: RoomInput,
        place: RoomOf,
        now: datetime,
        *,
        showtime_id: UUID | None = None,
        movie_id: UUID | None = None,
        seen: frozenset[int] | None = None,
    ) -> Room:
        starts_at = None
        if request.mode == "on":
            starts_at = request.starts_at or max(now, place.sales_opens_at or now)
        seed = self._random(SEED_BYTES)
        return await self._store.put(
            self._new_id(),
            showtime_id,
            movie_id,
            place.cinema_id,
            request,
            starts_at,
            seed,
            commitment(seed),
            now,
            seen,
        )

    # --- customers

    async def room(self, showtime_id: UUID, token: str | None) -> WaitingRoom:
        """A showtime's room, and the place of a token. Refuses NOT_FOUND."""
        gate = self._gates.by_showtime.get(showtime_id.bytes)
        if gate is None:
            if not await self._dispatch.exists(showtime_id.bytes):
                raise refuse("NOT_FOUND")
            return _no_room(showtime_id)
        place = None
        if token is not None:
            place_id = self._tokens.place_of(_subject(gate.room), token)
            place = await self._place(gate.room, place_id, token)
        return self._shown(gate.room, showtime_id, place)

    async def film_room(self, cinema_id: UUID, movie_id: UUID) -> FilmRoom:
        """The room of a film at a cinema. Refuses NOT_FOUND, RETRY."""
        gate = self._gates.of_film(cinema_id, movie_id)
        if gate is None:
            await self._store.film(cinema_id, movie_id, self._now())
            return _no_film_room(cinema_id, movie_id)
        return self._film_shown(gate, movie_id)

    async def join(
        self, showtime_id: UUID, by: Principal | None, request: JoinInput, address: str
    ) -> WaitingRoom:
        """A place in the room, or the one that the caller has already.

        Refuses QUEUE_CLOSED, QUEUE_FULL, PROOF_REQUIRED, RATE_LIMITED for an address with many.
        """
        room = self._joinable(showtime_id).room
        device = None
        if by is None:
            if request.device_secret is None:
                raise refuse(
                    "VALIDATION_ERROR",
                    "Sign in, or send a secret of this device.",
                    path="$.device_secret",
                )
            device = device_digest(request.device_secret)
        customers = _people(by)
        bound_to = str(customers[0]) if device is None else device.hex()
        if room.work_bits and not has_work(room.id, bound_to, request.proof, room.work_bits):
            raise refuse("PROOF_REQUIRED", room_id=str(room.id), work_bits=room.work_bits)
        digest = bytes.fromhex(address_digest(address))
        place = await self._places.join(
            room.id, self._new_id(), customers, device, digest, self._now()
        )
        if isinstance(place, NotJoined):
            if place.why == "share":
                raise self._throttles.refusal(ADDRESS_SHARE, SHARE_RETRY_AFTER_S)
            raise refuse("QUEUE_FULL" if place.why == "full" else "QUEUE_CLOSED")
        self.joined += 1
        self._remember(place)
        token = self._tokens.token(_subject(room), place.id)
        return self._shown(room, showtime_id, self._place_shown(room, place, token))

    async def enter(self, showtime_id: UUID, by: Principal, request: EntryInput) -> WaitingRoom:
        """Let the caller in with an admitted place; once, and again for the same caller or device.

        Refuses NOT_FOUND, QUEUE_CLOSED, QUEUE_NOT_YET, QUEUE_PLACE_ENDED.
        """
        gate = self._joinable(showtime_id)
        room, people = gate.room, _people(by)
        place_id = self._tokens.place_of(_subject(room), request.token)
        device = None
        if request.device_secret is not None:
            device = device_digest(request.device_secret)
        entered = await self._places.enter(place_id, room, people, device, self._now())
        if entered is not None:
            self.entered += 1
        elif device is not None and by.role == GUEST:
            entered = await self._enter_anew(gate, place_id, people[0], device)
        if entered is None:
            entered = await self._entered_before(place_id, room, people, device)
        assert entered.customer_id is not None
        assert entered.valid_until is not None
        gate.admit(entered.customer_id.bytes, to_us(entered.valid_until))
        return self._shown(room, showtime_id, self._place_shown(room, entered, request.token))

    async def _enter_anew(
        self, gate: RoomGate, place_id: UUID, guest: UUID, device: bytes
    ) -> KeptPlace | None:
        """Go on in the place of the guest whom this device was before, who must hold nothing.

        Otherwise one place would bring in as many as its device makes guests. None if it is no
        such place. Refuses QUEUE_PLACE_ENDED, RETRY.
        """
        room, place = gate.room, await self._places.place(place_id)
        if place is None or place.state != "inside" or place.device_digest != device:
            return None
        before = place.customer_id
        if before is None or before == guest or place.handed_on >= HANDED_ON_MAX:
            return None
        for showtime_id in room.showtime_ids:
            if await self._has_seats(showtime_id, before):
                raise refuse(
                    "QUEUE_PLACE_ENDED",
                    "This place is in use: seats are held with it. Release them, or book them.",
                )
        entered = await self._places.enter_anew(place_id, room, guest, device, before, self._now())
        if entered is not None:
            gate.leave(before.bytes)
        return entered

    async def _has_seats(self, showtime_id: UUID, customer: UUID) -> bool:
        """Whether somebody holds or has booked seats of a showtime. Refuses RETRY."""
        query = ReadSeats(customer=customer.bytes)
        outcome = await self._dispatch.read_seats(showtime_id.bytes, query)
        if isinstance(outcome, NoShowtime):
            return False
        return bool(
            granted(outcome if isinstance(outcome, SeatsSeen) else refusal_of(outcome)).mine
        )

    async def _entered_before(
        self, place_id: UUID, room: Room, people: list[UUID], device: bytes | None
    ) -> KeptPlace:
        place = found(await self._places.place(place_id))
        if place.room_id != room.id or place.state == "ended":
            raise refuse("QUEUE_PLACE_ENDED")
        if place.customer_id is None:
            is_theirs = place.device_digest == device
        else:
            is_theirs = place.customer_id in people
        if not is_theirs:
            # A place that was bound to a device belongs to whoever has used it.
            raise refuse("QUEUE_PLACE_ENDED" if place.state == "inside" else "NOT_FOUND")
        if place.state == "waiting":
            raise refuse("QUEUE_NOT_YET")
        assert place.valid_until is not None
        if place.valid_until <= self._now():
            raise refuse("QUEUE_PLACE_ENDED")
        if place.state == "admitted":
            raise refuse(
                "QUEUE_PLACE_ENDED",
                "You have another place in this waiting room: give that up first.",
            )
        return place

    async def leave(self, showtime_id: UUID, by: Principal) -> PlaceLeft:
        """Give a place up. Refuses NOT_FOUND, QUEUE_CLOSED."""
        gate, people = self._joinable(showtime_id), _people(by)
        place_id = await self._places.leave(gate.room.id, people, self._now())
        for customer in people:
            gate.leave(customer.bytes)
        self._numbers.pop(place_id, None)
        return PlaceLeft(id=place_id, showtime_id=showtime_id, status="ended")

    async def order(self, showtime_id: UUID, query: PageQuery) -> Page[OrderedPlace]:
        """The order that the shuffle has made, to be repeated by whoever wants to.

        Refuses QUEUE_CLOSED, VALIDATION_ERROR.
        """
        room = self._joinable(showtime_id).room
        position = granted(after(query.cursor, BY_NUMBER))
        behind = 0 if position is None else max(0, min(position[0], PLACES_MAX))
        rows = await self._places.order(room.id, behind, query.limit + 1)
        return page(
            [OrderedPlace(*one) for one in rows], query.limit, lambda one: (one.number, one.id)
        )

    async def learn(self) -> None:
        """Read the order of rooms that have just been shuffled, in one statement each.

        All who wait ask for it in these seconds. Refuses RETRY.
        """
        rooms = [one.room for one in self._gates.by_room.values()]
        self._learned &= {room.id for room in rooms}
        for room in rooms:
            if room.shuffled_at is None or room.id in self._learned:
                continue
            for place_id, number in await self._places.order(room.id, 0, PLACES_MAX):
                if place_id in self._numbers:
                    self._numbers[place_id] = (room.id, number)
            self._learned.add(room.id)

    # --- what is shown

    def _joinable(self, showtime_id: UUID) -> RoomGate:
        gate = self._gates.by_showtime.get(showtime_id.bytes)
        if gate is None or not gate.is_closed:
            raise refuse("QUEUE_CLOSED")
        return gate

    async def _place(self, room: Room, place_id: UUID, token: str) -> Place:
        """A place as it is now; one that is known to wait costs no look at the database."""
        known = self._numbers.get(place_id)
        if known is not None and known[0] == room.id:
            number = known[1]
            if room.shuffled_at is None or (number is not None and number > room.admitted_to):
                self._numbers.move_to_end(place_id)
                return self._waiting(room, place_id, number, token)
        place = found(await self._places.place(place_id), "This waiting room has no such place.")
        if place.room_id != room.id:
            # It was of a room that has closed since.
            return Place(
                id=place.id,
                token=token,
                status="ended",
                ended_by=place.ended_by or "time",
                position=None,
                estimate_s=None,
                until=None,
                poll_after_s=poll_after_s(None, 0.0),
            )
        self._remember(place)
        return self._place_shown(room, place, token)

    def _remember(self, place: KeptPlace) -> None:
        if place.state != "waiting":
            self._numbers.pop(place.id, None)
            return
        self._numbers[place.id] = (place.room_id, place.number)
        if len(self._numbers) > PLACES_MAX:
            self._numbers.popitem(last=False)

    def _place_shown(self, room: Room, place: KeptPlace, token: str) -> Place:
        if place.state == "waiting":
            return self._waiting(room, place.id, place.number, token)
        status: PlaceStatus = place.state
        ended_by = place.ended_by
        if ended_by is None and place.valid_until is not None and place.valid_until <= self._now():
            ended_by = "missed" if status == "admitted" else "time"
            status = "ended"
        return Place(
            id=place.id,
            token=token,
            status=status,
            ended_by=ended_by,
            position=None,
            estimate_s=None,
            until=place.valid_until if ended_by is None else None,
            poll_after_s=poll_after_s(1 if status == "admitted" else None, 0.0),
        )

    def _waiting(self, room: Room, place_id: UUID, number: int | None, token: str) -> Place:
        pace = room.admissions_per_s
        # Those before who have left count as if they still waited, until they are passed.
        position = None if number is None else max(1, number - room.admitted_to)
        return Place(
            id=place_id,
            token=token,
            status="waiting",
            ended_by=None,
            position=position,
            estimate_s=None if position is None else estimate_s(position, pace),
            until=None,
            poll_after_s=self._poll_after_s(room, place_id, position),
        )

    def _poll_after_s(self, room: Room, place_id: UUID, position: int | None) -> int:
        if room.shuffled_at is None and room.starts_at is not None:
            left_s = (room.starts_at - self._now()).total_seconds()
            return poll_for_start_s(left_s, place_id)
        return poll_after_s(position, room.admissions_per_s)

    def _shown(self, room: Room, showtime_id: UUID, place: Place | None) -> WaitingRoom:
        return WaitingRoom(
            showtime_id=showtime_id,
            movie_id=room.movie_id,
            id=room.id,
            status=_status(room),
            starts_at=room.starts_at,
            shoppers=room.shoppers,
            waiting=room.waiting,
            shopping=room.shopping,
            work_bits=room.work_bits,
            commitment=room.seed_digest.hex(),
            seed=None if room.shuffled_at is None else room.seed.hex(),
            place=place,
        )

    def _film_shown(self, gate: RoomGate, movie_id: UUID) -> FilmRoom:
        room = gate.room
        return FilmRoom(
            cinema_id=room.cinema_id,
            movie_id=movie_id,
            showtime_ids=self._gates.showtimes_of(gate),
            id=room.id,
            status=_status(room),
            starts_at=room.starts_at,
            shoppers=room.shoppers,
            waiting=room.waiting,
            shopping=room.shopping,
            work_bits=room.work_bits,
            commitment=room.seed_digest.hex(),
            seed=None if room.shuffled_at is None else room.seed.hex(),
        )


def _status(room: Room) -> RoomStatus:
    if room.starts_at is None:
        return "armed"
    return "gathering" if room.shuffled_at is None else "open"


def _people(by: Principal | None) -> list[UUID]:
    """The caller, and then the guests that they have claimed."""
    if by is None:
        return []
    return [UUID(bytes=one) for one in (by.user_id, *by.guest_ids)]


def _no_film_room(cinema_id: UUID, movie_id: UUID) -> FilmRoom:
    return FilmRoom(
        cinema_id=cinema_id,
        movie_id=movie_id,
        showtime_ids=[],
        id=None,
        status="off",
        starts_at=None,
        shoppers=0,
        waiting=0,
        shopping=0,
        work_bits=0,
        commitment=None,
        seed=None,
    )


def _no_settings(showtime_id: UUID) -> RoomSettings:
    usual = RoomInput(mode="off")
    return RoomSettings(
        showtime_id=showtime_id,
        mode=usual.mode,
        starts_at=None,
        shoppers=usual.shoppers,
        entry_seconds=usual.entry_seconds,
        shopping_seconds=usual.shopping_seconds,
        places_per_address=usual.places_per_address,
        work_bits=usual.work_bits,
        holds_per_second=usual.holds_per_second,
        version=NO_ROOM,
    )


def _no_room(showtime_id: UUID) -> WaitingRoom:
    return WaitingRoom(
        showtime_id=showtime_id,
        movie_id=None,
        id=None,
        status="off",
        starts_at=None,
        shoppers=0,
        waiting=0,
        shopping=0,
        work_bits=0,
        commitment=None,
        seed=None,
        place=None,
    )
