"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ROLES
from cinema.features.accounts import (
    credential_routes,
    guest_routes,
    profile_routes,
    session_routes,
    totp_routes,
    user_routes,
)
from cinema.features.accounts import routes as auth_routes
from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.audit_store import AuditRepository
from cinema.features.accounts.challenge_store import ChallengesRepository
from cinema.features.accounts.changes_store import AccountStandings
from cinema.features.accounts.confirmation import Confirmation
from cinema.features.accounts.credential_routes import CredentialParts
from cinema.features.accounts.credential_service import CredentialsService
from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.errors import ERRORS
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.guest_routes import GuestParts
from cinema.features.accounts.guest_rules import GuestTimes
from cinema.features.accounts.guest_service import GuestsService
from cinema.features.accounts.guest_store import GuestsRepository
from cinema.features.accounts.invitation_service import InvitationsService
from cinema.features.accounts.invitation_store import InvitationsRepository
from cinema.features.accounts.letters import MessagePost
from cinema.features.accounts.link_jobs import MailPreparation
from cinema.features.accounts.link_rules import Links, LinkTimes
from cinema.features.accounts.link_store import LinksRepository
from cinema.features.accounts.login_addresses_store import LoginAddresses
from cinema.features.accounts.login_throttle import LoginThrottle
from cinema.features.accounts.metrics import login_families, throttle_families
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.personal_store import AccountFacts
from cinema.features.accounts.profile_routes import ProfileParts
from cinema.features.accounts.profile_service import ProfileService
from cinema.features.accounts.refresh_cookie import RefreshCookie
from cinema.features.accounts.refresh_tokens import RefreshTokens
from cinema.features.accounts.routes import AuthParts
from cinema.features.accounts.service import AccountsService
from cinema.features.accounts.session_routes import SessionParts
from cinema.features.accounts.session_rules import SessionTimes
from cinema.features.accounts.session_service import SessionsService
from cinema.features.accounts.session_store import SessionsRepository
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.store import AccountsRepository
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier
from cinema.features.accounts.totp_routes import FactorParts
from cinema.features.accounts.totp_service import FactorsService
from cinema.features.accounts.totp_store import SEALED as SEALED_FACTORS
from cinema.features.accounts.totp_store import SEALED_NEXT, FactorsRepository
from cinema.features.accounts.user_routes import UserParts
from cinema.features.accounts.user_service import UsersService
from cinema.features.accounts.user_store import UsersRepository
from cinema.features.feature import Feature
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.settings import Settings, origin_of, problems_of_signing_keys, signing_keys
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.journal.clock import boot_s
from cinema.storage.redis.throttle_counts import ThrottleCounts

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings, pool, stack = node.settings, node.pool, node.stack
    keys = SigningKeys(signing_secrets(settings.jwt_secret_key))
    feed = await open_pool(node.database, size=1)
    stack.push_async_callback(close_pool, feed)
    needs_factor = _roles_with_factor(settings)
    admission = offered.add(
        TokenAdmission(
            TokenVerifier(keys, clock=node.unix_s),
            AccountStandings(pool, feed),
            clock=node.unix_s,
            steady=boot_s,
            needs_factor=needs_factor,
            task_failures=node.kernel.metrics.task_failures,
        )
    )
    stack.push_async_callback(admission.stop)
    await admission.read_changes()
    hasher = PasswordHasher(settings.bcrypt_cost, share=settings.hashing_per_address)
    stack.callback(hasher.close)
    counts = ThrottleCounts(boot_s, redis=node.redis)
    stack.push_async_callback(counts.close)
    throttles = offered.add(Throttles(counts, node.limits(ThrottleRules)))
    ttl_s = settings.jwt_access_token_expire_minutes * 60
    post = offered.add(MessagePost(offered[MessagesRepository]))
    kept_sessions = SessionsRepository(pool, post)
    sessions = SessionsService(
        kept_sessions,
        RefreshTokens(keys),
        TokenIssuer(keys, ttl_s=ttl_s, clock=node.unix_s),
        admission,
        throttles,
        _session_times(settings),
        new_id=node.next_uuid,
        # If the clocks of nodes differed, a repetition would look like misuse.
        clock=lambda: node.kernel.clock.now_us() / 1e6,
    )
    maker, times = Links(node.base_url), _link_times(settings)
    links = LinksRepository(pool, post, maker, times, node.next_uuid)
    store = AccountsRepository(pool, links.send_verification)
    logins = LoginThrottle(throttles, LoginAddresses(pool), clock=node.unix_s)
    mails = MailPreparation(links, clock=node.unix_s)
    confirmation = Confirmation(store, hasher, logins)
    kept_factors = FactorsRepository(pool, node.cipher, post, new_id=node.next_uuid)
    factors = FactorsService(
        kept_factors,
        ChallengesRepository(pool),
        confirmation,
        admission,
        throttles,
        required=needs_factor,
        clock=node.unix_s,
    )
    erasure = ErasureRepository(pool, post, new_id=node.next_uuid)
    profile = ProfileService(
        store,
        erasure,
        confirmation,
        factors,
        admission,
        grace_s=settings.erasure_grace_days * DAY_S,
        clock=node.unix_s,
    )
    credentials = CredentialsService(
        confirmation,
        links,
        hasher,
        throttles,
        factors,
        admission,
        new_id=node.next_uuid,
        clock=node.unix_s,
        asked=mails.wake,
    )
    accounts = AccountsService(
        store,
        hasher,
        throttles,
        logins,
        sessions,
        factors,
        new_id=node.next_uuid,
        log_key=keys.newest.secret,
    )

    def take_keys(text: str) -> None:
        keys.replace(signing_secrets(text))
        admission.forget_all()

    users = UsersService(
        UsersRepository(pool),
        AuditRepository(pool),
        kept_factors,
        admission,
        new_id=node.next_uuid,
        clock=node.unix_s,
    )
    invitations = InvitationsService(
        InvitationsRepository(pool, post),
        maker,
        times,
        hasher,
        sessions,
        logins,
        new_id=node.next_uuid,
        clock=node.unix_s,
    )
    guest_life = offered.add(_guest_times(settings))
    kept_guests = GuestsRepository(pool, new_id=node.next_uuid, times=guest_life)
    guests = GuestsService(
        kept_guests,
        TokenIssuer(keys, ttl_s=guest_life.lasts_s, clock=node.unix_s),
        TokenVerifier(keys, clock=node.unix_s),
        admission,
        throttles,
        unpaid_seats=node.kernel.unpaid.of,
        new_id=node.next_uuid,
        clock=node.unix_s,
    )
    door = offered.add(FrontDoor(node.proxies, refresh_cookie(settings)))
    return Feature(
        routes=(
            *bound(auth_routes.ROUTES, AuthParts(accounts, invitations, door)),
            *bound(session_routes.ROUTES, SessionParts(sessions, door)),
            *bound(credential_routes.ROUTES, CredentialParts(credentials, door)),
            *bound(totp_routes.ROUTES, FactorParts(factors, door)),
            *bound(guest_routes.ROUTES, GuestParts(guests, door)),
            *bound(profile_routes.ROUTES, ProfileParts(profile, door)),
            *bound(user_routes.ROUTES, UserParts(users, invitations, door)),
        ),
        metrics=(
            login_families(accounts.logins, sessions.refreshes),
            throttle_families(throttles, counts, hasher),
        ),
        personal=(AccountFacts(pool).disclose,),
        tasks={"account-changes": admission.follow, "account-mails": mails.run},
        sweeps={
            "given-up-accounts": erasure.erase_due,
            "ended-sessions": kept_sessions.forget_ended,
            "ended-guests": kept_guests.forget_due,
        },
        secrets={"JWT_SECRET_KEY": take_keys},
    )


def refresh_cookie(settings: Settings) -> RefreshCookie:
    """The cookie of refresh tokens; in development, without TLS, it is not a secure cookie."""
    return RefreshCookie(
        secure=settings.production or settings.public_url.startswith("https://"),
        own_origin=origin_of(settings.public_url),
        allowed_origins=settings.allowed_origins,
    )


def _session_times(settings: Settings) -> SessionTimes:
    """How long sessions live."""
    return SessionTimes(
        idle_s=settings.refresh_idle_days * DAY_S,
        total_s=settings.refresh_total_days * DAY_S,
        grace_s=settings.refresh_grace_seconds,
    )


def _guest_times(settings: Settings) -> GuestTimes:
    """How long guests live, and how long their data is kept."""
    return GuestTimes(lasts_s=settings.guest_hours * HOUR_S, kept_days=settings.order_link_days)


def _link_times(settings: Settings) -> LinkTimes:
    """How long links in mails are valid."""
    return LinkTimes(
        reset_s=settings.reset_link_minutes * MINUTE_S,
        verify_s=settings.verification_link_hours * HOUR_S,
        change_s=settings.email_change_link_hours * HOUR_S,
        undo_s=settings.email_undo_days * DAY_S,
        invitation_s=settings.invitation_link_days * DAY_S,
    )


def _roles_with_factor(settings: Settings) -> frozenset[str]:
    """The roles that need a second factor."""
    lowest = settings.mfa_required_for
    return frozenset(ROLES[ROLES.index(lowest) :]) if lowest in ROLES else frozenset()


def signing_secrets(text: str) -> list[bytes]:
    """The keys in `text`, newest first. Raises `ValueError`."""
    problems = list(problems_of_signing_keys(text))
    if problems:
        raise ValueError("; ".join(problems))
    return [key.encode() for key in signing_keys(text)]


TAGS: Final = {
    "Accounts": "Open an account, sign in, and manage your account.",
    "Guests": "Hold and book without an account.",
    "Administration": "Other people's accounts, invitations, and the audit log.",
}

ACCOUNTS: Final = Listed(build, errors=ERRORS, tags=TAGS, sealed=(SEALED_FACTORS, SEALED_NEXT))
