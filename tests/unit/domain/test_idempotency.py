from cinema.domain.idempotency import (
    ANONYMOUS,
    idempotency_key,
    key_digest,
    request_fingerprint,
)

ALICE = b"a" * 16
BOB = b"b" * 16


def test_digests_have_the_promised_sizes() -> None:
    key = idempotency_key(ALICE, "POST /movies", "k", b"{}")
    assert (len(key.digest), len(key.fingerprint)) == (16, 8)


def test_same_request_has_the_same_name() -> None:
    assert idempotency_key(ALICE, "POST /movies", "k", b"{}") == idempotency_key(
        ALICE, "POST /movies", "k", b"{}"
    )


def test_key_is_scoped_to_principal_and_route() -> None:
    digests = {
        key_digest(ALICE, "POST /movies", "k"),
        key_digest(BOB, "POST /movies", "k"),
        key_digest(ANONYMOUS, "POST /movies", "k"),
        key_digest(ALICE, "POST /cinemas", "k"),
        key_digest(ALICE, "POST /movies", "l"),
    }
    assert len(digests) == 5


def test_parts_do_not_run_into_each_other() -> None:
    assert key_digest(ALICE, "POST /a", "bc") != key_digest(ALICE, "POST /ab", "c")
    assert key_digest(b"ab", "c", "k") != key_digest(b"a", "bc", "k")


def test_other_body_has_another_fingerprint() -> None:
    assert request_fingerprint(b'{"seats":["F7"]}') != request_fingerprint(b'{"seats":["F8"]}')
