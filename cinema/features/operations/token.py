"""Access to the control endpoint: by sending one of its tokens, or signing calls with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from hmac import compare_digest
from math import inf
from pathlib import Path
from time import time
from typing import Final

import structlog
from multidict import istr

from cinema.domain.control_signatures import (
    PROOF_HEADER,
    Called,
    Signed,
    answer_mac,
    digest,
    parsed,
    request_mac,
    same,
)
from cinema.domain.principal import (
    ADMIN,
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    InvalidToken,
    Principal,
)
from cinema.domain.rejections import refuse
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.wire import Finished, ReplyWriter
from cinema.http.responses import Reply
from cinema.settings import ControlToken, parsed_tokens, problems_of_tokens

CONTROL_TOKENS_RELOADED: Final = "control_tokens_reloaded"
CONTROL_TOKENS_REFUSED: Final = "control_tokens_refused"

AUTHORIZATION: Final = istr("Authorization")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
OPERATOR: Final = istr("Cinema-Operator")

SIGNATURE_LIFE_S: Final = 60
"""How far the clocks of an operator's machine and of the server may be apart."""

NONCES_LIMIT: Final = 10_000
"""Signed calls that are remembered, so that none counts twice: 80 a second while they are valid."""

TOKEN_FILE_LIMIT_BYTES: Final = 64 << 10

ReadText = Callable[[], str]

log = structlog.get_logger()


def text_of(file: Path) -> ReadText:
    """Reads the tokens in `file` again for each call."""

    def read() -> str:
        with file.open("rb") as opened:
            return opened.read(TOKEN_FILE_LIMIT_BYTES).decode().strip()

    return read


class OperatorTokens:
    """The valid tokens; `read` gives the text of a file that may change.

    It is read at every call (there are few), so that a removed token is invalid at once. A file
    that cannot be read or is not valid changes nothing.
    """

    def __init__(
        self,
        text: str,
        read: ReadText | None = None,
        clock: Callable[[], float] = time,
        *,
        nonces_limit: int = NONCES_LIMIT,
    ) -> None:
        self._text = text
        self._nonces_limit = nonces_limit
        self._refused_text: str | None = None
        self._tokens = parsed_tokens(text)
        if not self._tokens:
            raise ValueError("an empty token would let everybody in")
        self._read = read
        self._clock = clock
        self._nonces: dict[str, float] = {}
        self._names: dict[bytes, str] = {}

    def verify(self, given: str) -> Principal:
        """The holder of the token in a call; raises `InvalidToken`."""
        self._reload()
        wanted = _digest(given)
        found = [one for one in self._tokens if compare_digest(wanted, _digest(one.secret))]
        if not found:
            raise InvalidToken(INVALID_TOKEN)
        return self._principal(found[0])

    def verify_signed(self, request: HttpRequest, credentials: str) -> Principal:
        """The holder of the token with which a call is signed; raises `InvalidToken`.

        `check_body` checks the body later. Each signature counts once, and only for a short time.
        """
        self._reload()
        signed = parsed(credentials)
        token = None if signed is None else self._signer(request, signed)
        if signed is None or token is None:
            raise InvalidToken(INVALID_TOKEN)
        now_s = self._clock()
        if abs(now_s - signed.created_s) > SIGNATURE_LIFE_S:
            raise InvalidToken(TOKEN_EXPIRED)
        self._take_nonce(signed.nonce, now_s)
        return self._principal(token)

    def check_body(self, request: HttpRequest, body: bytes) -> None:
        """Refuse a body that was not signed."""
        signed = parsed(request.headers.get(AUTHORIZATION, ""))
        if signed is not None and not same(signed.body_digest, digest(body)):
            raise refuse("UNAUTHENTICATED", reason=INVALID_TOKEN)

    def proof_of(self, request: HttpRequest, reply: Reply) -> bytes:
        """A header line that proves the answer to a signed call; empty for other calls."""
        signed = parsed(request.headers.get(AUTHORIZATION, ""))
        token = None if signed is None else self._signer(request, signed)
        if signed is None or token is None:
            return b""
        proof = answer_mac(token.secret, signed.nonce, reply.status, reply.body)
        return f"{PROOF_HEADER}: {proof}\r\n".encode()

    def name_of(self, principal: Principal) -> str:
        """The holder of a caller's token."""
        return self._names[principal.user_id]

    def _signer(self, request: HttpRequest, signed: Signed) -> ControlToken | None:
        headers = request.headers
        called = Called(
            request.method,
            request.raw_path,
            headers.get(IDEMPOTENCY_KEY, ""),
            headers.get(OPERATOR, ""),
        )
        for one in self._tokens:
            if same(signed.mac, request_mac(one.secret, called, signed)):
                return one
        return None

    def _take_nonce(self, nonce: str, now_s: float) -> None:
        """Remember a nonce as long as its signature is valid."""
        nonces = self._nonces
        if nonce in nonces:
            raise InvalidToken(INVALID_TOKEN)
        while nonces and (oldest := next(iter(nonces))) and nonces[oldest] < now_s:
            del nonces[oldest]
        if len(nonces) >= self._nonces_limit:
            raise refuse("OVERLOADED")
        nonces[nonce] = now_s + 2 * SIGNATURE_LIFE_S

    def _principal(self, token: ControlToken) -> Principal:
        """The caller in log lines and idempotency keys; it stays the same with a new token."""
        holder_id = sha256(f"cinema operator {token.holder}".encode()).digest()[:16]
        self._names[holder_id] = token.holder
        return Principal(holder_id, ADMIN, holder_id, inf)

    def _reload(self) -> None:
        if self._read is None:
            return
        try:
            text = self._read()
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(f"unreadable {error}", [str(error)])
            return
        if text == self._text:
            self._refused_text = None
            return
        tokens = parsed_tokens(text)
        problems = list(problems_of_tokens(tokens)) if tokens else ["there is none"]
        if problems:
            self._refuse(text, problems)
            return
        self._text, self._tokens, self._refused_text = text, tokens, None
        log.info(CONTROL_TOKENS_RELOADED, holders=_names(tokens))

    def _refuse(self, text: str, problems: list[str]) -> None:
        """Log once that the file is not valid."""
        if text != self._refused_text:
            self._refused_text = text
            log.error(CONTROL_TOKENS_REFUSED, reason="; ".join(problems))


class ProvingWriter(ReplyWriter):
    """Writes replies that prove which server answers."""

    def __init__(self, tokens: OperatorTokens, *, hsts: bool) -> None:
        super().__init__(hsts=hsts)
        self._tokens = tokens

    def send(
        self,
        request: HttpRequest,
        reply: Reply,
        request_id: str,
        wall_s: float,
        owner: bytes = b"",
        size_bytes: int | None = None,
    ) -> Finished:
        """See `ReplyWriter.send`."""
        proof = self._tokens.proof_of(request, reply)
        return super().send(request, reply, request_id, wall_s, owner + proof, size_bytes)


def _names(tokens: Iterable[ControlToken]) -> list[str]:
    return list(dict.fromkeys(one.holder for one in tokens))


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
