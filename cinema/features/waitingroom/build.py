"""How this feature is built."""

from __future__ import annotations

import secrets
from typing import Final

from cinema.features.accounts.throttles import Throttles
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.seats.service import SeatsService
from cinema.features.waitingroom import routes as room_routes
from cinema.features.waitingroom.errors import ERRORS
from cinema.features.waitingroom.feed import PlaceFeed
from cinema.features.waitingroom.gate import Gates
from cinema.features.waitingroom.jobs import RoomsPaced
from cinema.features.waitingroom.metrics import room_families
from cinema.features.waitingroom.page_files import page_files
from cinema.features.waitingroom.personal_store import PlaceFacts
from cinema.features.waitingroom.place_store import PlacesRepository
from cinema.features.waitingroom.round_store import RoundsRepository
from cinema.features.waitingroom.routes import RoomParts
from cinema.features.waitingroom.service import PlaceTokens, WaitingRoomService
from cinema.features.waitingroom.store import ANY_OPEN, RoomsRepository
from cinema.features.waitingroom.store import SEALED as SEALED_SEEDS
from cinema.features.watching.hub import WatchHub
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now, new_id = node.common_time, node.next_uuid
    store = RoomsRepository(node.pool, node.cipher)
    places = PlacesRepository(node.pool)
    gates = Gates(places.inside, now_us=node.kernel.clock.now_us)
    rooms = WaitingRoomService(
        *(store, places, gates, node.dispatch, PlaceTokens(node.cipher), offered[Throttles]),
        new_id=new_id,
        random=secrets.token_bytes,
        now=now,
    )
    feed = offered[WatchHub].places = PlaceFeed(rooms)
    paced = RoomsPaced(
        *(
            store,
            places,
            RoundsRepository(node.pool, node.cipher),
            gates,
            offered[SeatsService].seats_and_holders,
            feed,
        ),
        new_id=new_id,
        random=secrets.token_bytes,
        now=now,
        rest=node.rest(ANY_OPEN),
    )
    # Before the first request: a node that did not know of a room would let everybody in.
    await paced.look()
    offered[SeatsService].guard_by(gates.by_showtime)
    return Feature(
        routes=bound(room_routes.ROUTES, RoomParts(rooms, node.proxies, page_files())),
        metrics=(room_families(gates, rooms, paced, now=now),),
        personal=(PlaceFacts(node.pool).disclose,),
        tasks={"waiting-rooms": paced.run, "waiting-room-looks": gates.run},
        sweeps={"waiting-rooms": store.forget},
    )


TAGS: Final = {
    "Waiting rooms": "Places in front of the sale of a showtime that many want seats of.",
}

WAITINGROOM: Final = Listed(build, errors=ERRORS, tags=TAGS, sealed=(SEALED_SEEDS,))
