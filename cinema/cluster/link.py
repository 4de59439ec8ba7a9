"""One connection between two nodes: first proofs of identity, then frames both ways, in batches.

Both sides prove that they know the cluster's secret before anything else is read: each answers the
other's random challenge with an HMAC over both challenges, both node ids and its own part. What
follows is neither encrypted nor signed: nodes talk over a private network, or through a mesh.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

import msgspec
import structlog

from cinema.cluster.wire import Frame, decode_frames, encode_frames
from cinema.telemetry.logging import LogLimit

PROTOCOL_VERSION: Final = 1
CHALLENGE_BYTES: Final = 16
GREETING_BYTES_MAX: Final = 256
"""Before the peer is known nothing longer is read."""
BATCH_BYTES_MAX: Final = 16 << 20
"""Most bytes in one batch of frames: thousands of commands, or a few whole seat maps."""
GREETING_TIMEOUT_S: Final = 5.0
"""How long a connection may stay anonymous."""
_HEAD_BYTES: Final = 4

UNHEARD_S: Final = 5
"""How long what was sent may stay unacknowledged by the other machine, and an idle link unheard."""

REFUSALS_LOGGED: Final = 5
"""Refused links that a node logs in a minute; of the others it says how many they were."""

LINK_REFUSED: Final = "link_refused"
FRAME_TOO_LARGE: Final = "frame_too_large"

log = structlog.get_logger(__name__)


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The first message of the dialling side."""

    protocol: int
    node_id: bytes
    challenge: bytes


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The listening side's answer, with its proof."""

    node_id: bytes
    challenge: bytes
    proof: bytes


class Proof(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The dialling side's proof; frames may follow at once."""

    proof: bytes


_encode = msgspec.msgpack.Encoder().encode
_greeting = msgspec.msgpack.Decoder(Hello | Welcome | Proof).decode


class LinkRefused(Exception):
    """The other side is not who it should be."""


class ClusterSecrets:
    """What the nodes of a cluster know, the newest first, and what may change while they run.

    A node that listens proves itself with the newest, and one that dials with the one that the
    other has proven. So a secret comes first only when all nodes know it.
    """

    def __init__(self, known: Sequence[bytes]) -> None:
        self.known = tuple(known)

    def replace(self, known: Sequence[bytes]) -> None:
        """Know these from now on; links that are open go on.

        Raises `ValueError`, and changes nothing, if none of them is known already: no other node
        could be reached any more.
        """
        if not set(known) & set(self.known):
            raise ValueError("a secret that all nodes know has to stay until they know the new one")
        self.known = tuple(known)


class Identity(msgspec.Struct, frozen=True):
    """Who this node is on its links; `challenge` draws random bytes."""

    node_id: bytes
    secrets: ClusterSecrets
    challenge: Callable[[], bytes]

    def secret_of(self, proof: bytes, part: bytes, *facts: bytes) -> bytes | None:
        """The secret with which a proof was made; None if it is none of ours."""
        for secret in self.secrets.known:
            if hmac.compare_digest(proof, proof_by(secret, part, *facts)):
                return secret
        return None


def proof_by(secret: bytes, part: bytes, *facts: bytes) -> bytes:
    """A proof that only a node can make which knows this secret."""
    # All values except the part have fixed lengths, so the bytes can be read in only one way.
    message = b"cinema link 1\0" + part + b"\0" + b"".join(facts)
    return hmac.new(secret, message, hashlib.sha256).digest()


class LinkUser(Protocol):
    """Receives what happens on a link; all methods run on the event loop, and none may raise."""

    def opened(self, link: Link) -> None:
        """Both sides are known."""

    def received(self, link: Link, frames: list[Frame]) -> None:
        """Frames came, in the order they were sent."""

    def closed(self, link: Link) -> None:
        """The link is gone, opened or not; called once."""


class Link(asyncio.Protocol):
    """An asyncio protocol for either side; `expected` is the node that is dialled, None to listen.

    Frames sent within one step of the loop travel together. `refusals` limits how many failed
    greetings are logged by all links that share it, since anybody can connect. One that `hangs_up`
    ends before it greets, so that the other side knows that nothing it has to send was heard.
    """

    def __init__(
        self,
        me: Identity,
        user: LinkUser,
        expected: bytes | None = None,
        refusals: LogLimit | None = None,
        *,
        hangs_up: bool = False,
    ) -> None:
        self._refusals = refusals or LogLimit(lines=REFUSALS_LOGGED)
        self.peer_id = expected or b""
        self.is_open = False
        self.is_unproven = False
        self._me = me
        self._user = user
        self._dials = expected is not None
        self._hangs_up = hangs_up
        self._challenge = me.challenge()
        self._theirs = b""
        self._buffer = bytearray()
        self._out: list[Frame] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The dialling side greets."""
        self._transport = cast("asyncio.Transport", transport)
        if self._hangs_up:
            self.abort()
            return
        _notice_silence(transport.get_extra_info("socket"))
        self._timer = self._loop.call_later(GREETING_TIMEOUT_S, self.abort)
        if self._dials:
            self._greet(Hello(PROTOCOL_VERSION, self._me.node_id, self._challenge))

    def data_received(self, data: bytes) -> None:
        """Whole batches are handed on; anything wrong ends the link."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= _HEAD_BYTES:
                size = int.from_bytes(buffer[at : at + _HEAD_BYTES], "big")
                if size > (BATCH_BYTES_MAX if self.is_open else GREETING_BYTES_MAX):
                    raise LinkRefused(f"a batch of {size} bytes")
                end = at + _HEAD_BYTES + size
                if len(buffer) < end:
                    break
                with memoryview(buffer) as view, view[at + _HEAD_BYTES : end] as body:
                    if self.is_open:
                        frames = decode_frames(body)
                    else:
                        frames = []
                        self._greeted(body)
                at = end
                if frames:
                    self._user.received(self, frames)
                if self._transport is None:
                    return
        except (LinkRefused, msgspec.MsgspecError) as error:
            peer, reason = self.peer_id.hex(), str(error)
            self._refusals.write(log.warning, LINK_REFUSED, peer=peer, reason=reason)
            self.abort()
            return
        if at:
            del buffer[:at]

    def connection_lost(self, _error: Exception | None) -> None:
        """Reported once, whichever side ended it."""
        self.is_open = False
        self._transport = None
        self._stop_timer()
        self._user.closed(self)

    # --- greetings

    def _greet(self, greeting: Hello | Welcome | Proof) -> None:
        self._write(_encode(greeting))

    def _greeted(self, body: memoryview) -> None:
        greeting = _greeting(body)
        if isinstance(greeting, Hello) and not self._dials and not self._theirs:
            if greeting.protocol != PROTOCOL_VERSION:
                raise LinkRefused(f"protocol {greeting.protocol}")
            self._meet(greeting.node_id, greeting.challenge)
            self.peer_id = greeting.node_id
            newest = self._me.secrets.known[0]
            proof = proof_by(newest, b"listens", *self._facts())
            self._greet(Welcome(self._me.node_id, self._challenge, proof))
        elif isinstance(greeting, Welcome) and self._dials:
            if greeting.node_id != self.peer_id:
                raise LinkRefused("another node answers at this address")
            self._meet(greeting.node_id, greeting.challenge)
            secret = self._checked(greeting.proof, b"listens")
            self._greet(Proof(proof_by(secret, b"dials", *self._facts())))
            self._open()
        elif isinstance(greeting, Proof) and not self._dials and self._theirs:
            self._checked(greeting.proof, b"dials")
            self._open()
        else:
            raise LinkRefused(f"{type(greeting).__name__} out of turn")

    def _meet(self, node_id: bytes, challenge: bytes) -> None:
        if len(challenge) != CHALLENGE_BYTES or len(node_id) != len(self._me.node_id):
            raise LinkRefused("a greeting of the wrong size")
        self._theirs = challenge

    def _facts(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Both ids and challenges, the dialling side's first."""
        mine, theirs = (self._me.node_id, self._challenge), (self.peer_id, self._theirs)
        return (*mine, *theirs) if self._dials else (*theirs, *mine)

    def _checked(self, proof: bytes, part: bytes) -> bytes:
        """The secret that the other side has proven to know."""
        secret = self._me.secret_of(proof, part, *self._facts())
        if secret is None:
            self.is_unproven = True
            raise LinkRefused("the peer does not know CLUSTER_SECRET")
        return secret

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self) -> None:
        self.is_open = True
        self._stop_timer()
        self._user.opened(self)

    # --- frames

    def send(self, frame: Frame) -> None:
        """Send a frame with this step's others; one for a closed link is dropped."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        frames, self._out = self._out, []
        if self.is_open and frames:
            self._send(frames)

    def _send(self, frames: list[Frame]) -> None:
        """Write them as one batch, or as several if it were too large for the other side."""
        body = encode_frames(frames)
        if len(body) <= BATCH_BYTES_MAX:
            self._write(body)
        elif len(frames) == 1:
            log.error(FRAME_TOO_LARGE, peer=self.peer_id.hex(), bytes=len(body))
        else:
            middle = len(frames) // 2
            self._send(frames[:middle])
            self._send(frames[middle:])

    def _write(self, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(len(body).to_bytes(_HEAD_BYTES, "big") + body)

    def close(self) -> None:
        """Send what is queued and hang up."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()


def _notice_silence(connection: socket.socket | None) -> None:
    """Let the system end a connection whose other machine is gone or cannot be reached.

    Otherwise it would stay open for a quarter of an hour, and each message on it would wait
    until its deadline.
    """
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, UNHEARD_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_S * 1000)
