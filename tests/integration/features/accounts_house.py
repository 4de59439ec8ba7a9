"""The services of accounts on a real Postgres, with a clock that tests move."""

from __future__ import annotations

import secrets
import time
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.idempotency import ANONYMOUS, IdempotencyKey, idempotency_key
from cinema.domain.ids import RANDOM_BITS, new_id, parse_id
from cinema.domain.principal import InvalidToken, Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.audit_store import AuditRepository
from cinema.features.accounts.challenge_store import ChallengesRepository
from cinema.features.accounts.changes_store import AccountStandings
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.credential_service import CredentialsService
from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.invitation_service import InvitationsService
from cinema.features.accounts.invitation_store import InvitationsRepository
from cinema.features.accounts.letters import AccountLetter
from cinema.features.accounts.link_jobs import MailPreparation
from cinema.features.accounts.link_rules import Links, LinkTimes
from cinema.features.accounts.link_store import LinksRepository
from cinema.features.accounts.login_addresses_store import LoginAddresses
from cinema.features.accounts.login_throttle import LoginThrottle
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.profile_service import ProfileService
from cinema.features.accounts.refresh_tokens import RefreshTokens
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.session_rules import SessionTimes
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.session_store import SessionsRepository
from cinema.features.accounts.shapes import AdminUser, Client, PromoteInput, RegisterInput
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.store import AccountsRepository
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier
from cinema.features.accounts.totp_service import FactorsService
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.features.accounts.user_service import UsersService
from cinema.features.accounts.user_store import UsersRepository
from cinema.storage.database.transactions import Pool, PooledConnection
from cinema.storage.encryption import Cipher
from cinema.storage.redis.throttle_counts import ThrottleCounts

KEY = b"k" * 32
TTL_S = 900
TIMES = SessionTimes(idle_s=7 * 86_400, total_s=30 * 86_400, grace_s=10)
LINK_TIMES = LinkTimes(
    reset_s=3600, verify_s=86_400, change_s=86_400, undo_s=7 * 86_400, invitation_s=7 * 86_400
)
PUBLIC_URL = "https://tickets.example/"
ADMIN = Principal(bytes(16), "admin", bytes(16), 0.0)
HERE = Client("192.0.2.1", "a browser", "request-1")
THERE = Client("192.0.2.2", "another browser", "request-2")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now_s


class House:
    """The services with what a test needs to look at beside them."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        hasher: PasswordHasher,
        needs_factor: frozenset[str] = frozenset(),
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.hasher = hasher
        self.letters: list[AccountLetter] = []
        self.admission = TokenAdmission(
            TokenVerifier(SigningKeys([KEY]), clock=clock),
            AccountStandings(pool, pool),
            clock=clock,
            steady=clock,
            needs_factor=needs_factor,
        )
        rules = ThrottleRules(
            login_failures_per_account_and_address=3, registrations_per_hour_per_address=50
        )
        throttles = Throttles(ThrottleCounts(clock), rules)
        self.sessions = SessionsService(
            SessionsRepository(pool, self._post),
            RefreshTokens(SigningKeys([KEY])),
            TokenIssuer(SigningKeys([KEY]), ttl_s=TTL_S, clock=clock),
            self.admission,
            throttles,
            TIMES,
            new_id=_new_id,
            clock=clock,
        )
        self.links = LinksRepository(pool, self._post, Links(PUBLIC_URL), LINK_TIMES, _new_id)
        self.mails = MailPreparation(self.links, clock=clock)
        store = self.accounts_store = AccountsRepository(pool, self.links.send_verification)
        logins = LoginThrottle(throttles, LoginAddresses(pool), clock=clock)
        confirmation = Confirmation(store, hasher, logins)
        self.challenges = ChallengesRepository(pool)
        self.factor_store = FactorsRepository(pool, Cipher([b"e" * 32]), self._post, new_id=_new_id)
        self.factors = FactorsService(
            self.factor_store,
            self.challenges,
            confirmation,
            self.admission,
            throttles,
            required=needs_factor,
            clock=clock,
        )
        self.erasure = ErasureRepository(pool, self._post, new_id=_new_id)
        self.profile = ProfileService(
            store,
            self.erasure,
            confirmation,
            self.factors,
            self.admission,
            grace_s=7 * 86_400,
            clock=clock,
        )
        self.credentials = CredentialsService(
            confirmation,
            self.links,
            hasher,
            throttles,
            self.factors,
            self.admission,
            new_id=_new_id,
            clock=clock,
            asked=self.mails.wake,
        )
        self.users = UsersService(
            UsersRepository(pool),
            AuditRepository(pool),
            self.factor_store,
            self.admission,
            new_id=_new_id,
            clock=clock,
        )
        self.invitations = InvitationsService(
            InvitationsRepository(pool, self._post),
            Links(PUBLIC_URL),
            LINK_TIMES,
            hasher,
            self.sessions,
            logins,
            new_id=_new_id,
            clock=clock,
        )
        self.accounts = AccountsService(
            store,
            hasher,
            throttles,
            logins,
            self.sessions,
            self.factors,
            new_id=_new_id,
            log_key=KEY,
            clock=clock,
        )

    async def add_admin(self, admin: Principal = ADMIN) -> None:
        """An account for a principal that acts as an admin."""
        user_id = UUID(bytes=admin.user_id)
        await self.pool.execute(
            "insert into users (id, email, email_key, password_hash, role, created_at)"
            " values ($1, $2, $2, 'none', 'admin', now()) on conflict do nothing",
            user_id,
            f"{user_id}@example.com",
        )

    async def add_cinema(self) -> UUID:
        """The id of a new cinema."""
        cinema_id = _new_id()
        await self.pool.execute(
            "insert into cinemas (id, name, city, country, time_zone, currency, created_at)"
            " values ($1, 'A', 'B', 'DE', 'UTC', 'EUR', now())",
            cinema_id,
        )
        return cinema_id

    async def promote(self, user_id: str, role: str, *cinema_ids: UUID) -> AdminUser:
        """Have an admin give somebody a role; the address is verified for that."""
        await self.add_admin()
        await self.verify(user_id)
        request = PromoteInput(role=role, cinema_ids=list(cinema_ids))
        return await self.users.promote(ADMIN, UUID(user_id), request, HERE)

    async def verify(self, user_id: str) -> None:
        """As if the owner of an account had used the link in the first mail."""
        await self.pool.execute(
            "update users set email_verified = true where id = $1", UUID(user_id)
        )

    def link(self, kind: str) -> str:
        """The token of the latest letter of a kind."""
        (letter, *_) = [one for one in reversed(self.letters) if one.kind == kind]
        return str(letter.payload["url"]).partition("#token=")[2]

    def kinds(self) -> list[str]:
        """What was posted since the last look."""
        kinds = [one.kind.removeprefix("account_") for one in self.letters]
        self.letters.clear()
        return kinds

    async def count(self, table: str) -> Any:
        return await self.pool.fetchval(f"select count(*) from {table}")

    async def lives(self, token: str) -> bool:
        """Whether a node lets a token in, as one that has just read the feed."""
        await self.admission.read_changes()
        try:
            self.admission.verify(token) or await self.admission.look_up(token)
        except InvalidToken:
            return False
        return True

    async def _post(self, running: PooledConnection, letter: AccountLetter) -> None:
        assert running.is_in_transaction()
        self.letters.append(letter)


def _new_id() -> UUID:
    return UUID(bytes=new_id(time.time_ns() // 1000, secrets.randbits(RANDOM_BITS)))


def ann(**changes: str) -> RegisterInput:
    fields = {"email": "Ann@Example.com", "password": "correct horse", "first_name": "Ann"}
    return msgspec.convert(fields | changes, RegisterInput)


def request_key(request: RegisterInput, key: str = "k") -> IdempotencyKey:
    return idempotency_key(ANONYMOUS, "register", (), key, request)


def raw(text: str) -> bytes:
    found = parse_id(text)
    assert found is not None
    return found


async def refusal(call: Any) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.rejection.code
