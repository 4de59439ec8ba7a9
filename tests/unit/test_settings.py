"""Settings: what is read, what is refused, and that the documents tell the truth."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cinema.cli.main import main
from cinema.settings import (
    Secret,
    Settings,
    SettingsError,
    announce,
    announced,
    encryption_keys,
    fields,
    found_control_token,
    load_settings,
    parsed_tokens,
    signing_keys,
    url_of,
    with_control_token,
    with_encryption_keys,
    with_jwt_secret,
    with_ticket_keys,
    withdraw,
)
from cinema.settings.example import default_text, example
from cinema.settings.mail import SmtpServer, problems_of_mail, smtp_server

ROOT = Path(__file__).parents[2]

SOUND_KEY = "q7fJ2mX9vLc4RzT8wKp1bNd6hYs3gAe5"
SOUND_PRODUCTION = {
    "ENVIRONMENT": "production",
    "JWT_SECRET_KEY": SOUND_KEY,
    "ENCRYPTION_KEYS": "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=",
    "TICKET_SIGNING_KEYS": "GxobGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA774=",
    "DATABASE_URL": "postgresql://cinema@db/cinema",
    "PUBLIC_URL": "https://tickets.cinema.test",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}


def problems_of(environ: dict[str, str], flags: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ, flags)
    return refused.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()


def test_an_empty_value_counts_as_absent() -> None:
    assert load_settings({"PORT": "", "DEMO_DATA": " "}) == Settings()


def test_values_are_read_by_their_type() -> None:
    settings = load_settings(
        {
            "PORT": "9000",
            "DEMO_DATA": "off",
            "LOG_LEVEL": "DEBUG",
            "DATA_DIR": "/var/lib/cinema",
            "ALLOWED_ORIGINS": "https://a.test, https://b.test",
        }
    )
    assert settings.port == 9000
    assert settings.demo_data is False
    assert settings.log_level == "debug"
    assert settings.data_dir == Path("/var/lib/cinema")
    assert settings.allowed_origins == ("https://a.test", "https://b.test")


def test_a_relative_folder_is_meant_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"DATA_DIR": "here"}).data_dir == tmp_path / "here"


def test_a_flag_overrides_the_environment() -> None:
    assert load_settings({"PORT": "9000"}, {"port": "9001"}).port == 9001


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of(
        {"PORT": "70000", "DEMO_DATA": "maybe", "LOG_LEVEL": "loud", "BCRYPT_COST": "ten"}
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "PORT",
        "LOG_LEVEL",
        "BCRYPT_COST",
        "DEMO_DATA",
    ]


@pytest.mark.parametrize("field", fields(), ids=lambda field: field.variable)
def test_every_number_has_bounds_that_hold(field) -> None:
    if field.kind is not int:
        return
    about = field.about
    assert about.ge is not None
    assert about.le is not None
    assert about.ge <= field.default <= about.le
    for beyond in (about.ge - 1, about.le + 1):
        assert any(p.startswith(field.variable) for p in problems_of({field.variable: str(beyond)}))


def test_bcrypt_is_never_cheaper_than_ten() -> None:
    assert problems_of({"BCRYPT_COST": "9"}) == [
        "BCRYPT_COST: '9' is not a whole number from 10 to 16"
    ]


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LEASE_MS", "12.5", "a whole number from 50 to 60000 ms"),
        ("LEASE_MS", "60001", "a whole number from 50 to 60000 ms"),
        ("DEMO_DATA", "maybe", "true or false"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(
    variable: str, text: str, expected: str
) -> None:
    assert problems_of({variable: text}) == [f"{variable}: {text!r} is not {expected}"]


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "ON"])
def test_a_switch_may_be_written_in_several_ways(text: str) -> None:
    assert load_settings({"DEMO_DATA": text}).demo_data is True


@pytest.mark.parametrize("text", ["false", "FALSE", "0", "no", "Off"])
def test_a_switch_may_be_turned_off_in_several_ways(text: str) -> None:
    assert load_settings({"DEMO_DATA": text}).demo_data is False


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"SEAT_HOLD_TTL_SECONDS": "1900"}, "SEAT_HOLD_MAX_SECONDS"),
        ({"DATABASE_POOL_SIZE": "4", "COMMIT_LANES": "4"}, "DATABASE_POOL_SIZE"),
        ({"OVERLOADED_AFTER_MS": "500", "COMMAND_DEADLINE_MS": "500"}, "OVERLOADED_AFTER_MS"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,elsewhere"}, "TRUSTED_PROXIES: elsewhere"),
        ({"ALLOWED_ORIGINS": "cinema.test"}, "ALLOWED_ORIGINS: cinema.test"),
        ({"ALLOWED_ORIGINS": "null"}, "ALLOWED_ORIGINS: null"),
        ({"ALLOWED_ORIGINS": "https://"}, "ALLOWED_ORIGINS: https:// is not an origin"),
        ({"ALLOWED_ORIGINS": "https://a:b"}, "ALLOWED_ORIGINS: https://a:b is not an origin"),
        ({"ALLOWED_ORIGINS": "https://[::1"}, "ALLOWED_ORIGINS: https://[::1 is not an origin"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"REDIS_URL": "http://x"}, "REDIS_URL"),
        ({"PUBLIC_URL": "tickets.cinema.test"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://"}, "PUBLIC_URL names no host"),
        ({"PUBLIC_URL": "https://tickets.cinema.test:https"}, "PUBLIC_URL names no host"),
        ({"PUBLIC_URL": "https://tickets.cinema.test/?from=mail"}, "PUBLIC_URL must end with its"),
        ({"PUBLIC_URL": "https://tickets.cinema.test/#"}, "PUBLIC_URL must end with its path"),
        ({"PUBLIC_URL": "https://ada:pass@tickets.cinema.test"}, "PUBLIC_URL must end with its"),
        ({"JWT_SECRET_KEY": "short"}, "JWT_SECRET_KEY is shorter"),
        ({"CONTROL_TOKEN": "short"}, "CONTROL_TOKEN is shorter"),
        ({"CONTROL_TOKEN": f"ada:{'x' * 32}, bob:short"}, "CONTROL_TOKEN is shorter"),
        ({"CONTROL_TOKEN": f"{'x' * 32}\n" * 17}, "CONTROL_TOKEN holds more than 16"),
        ({"STRIPE_SECRET_KEY": "pk_test_x"}, "STRIPE_SECRET_KEY has to begin with sk_"),
        ({"STRIPE_SECRET_KEY": "sk_live_x"}, "STRIPE_SECRET_KEY is a live key"),
        ({"STRIPE_SECRET_KEY": "rk_live_x"}, "STRIPE_SECRET_KEY is a live key"),
        (
            {"STRIPE_PUBLISHABLE_KEY": "sk_test_x", "STRIPE_SECRET_KEY": "sk_test_x"},
            "STRIPE_PUBLISHABLE_KEY has to begin with pk_",
        ),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_test_x"}, "STRIPE_PUBLISHABLE_KEY needs STRIPE_SECRET_KEY"),
        (
            {"STRIPE_PUBLISHABLE_KEY": "pk_live_x", "STRIPE_SECRET_KEY": "sk_test_x"},
            "STRIPE_PUBLISHABLE_KEY and STRIPE_SECRET_KEY are of different modes",
        ),
        ({"STRIPE_WEBHOOK_SECRET": "secret"}, "STRIPE_WEBHOOK_SECRET does not begin"),
        ({"WALLET_PASS_CERTIFICATE": "x"}, "WALLET_PASS_CERTIFICATE has to hold one private key"),
        (
            {"STRIPE_WEBHOOK_SECRET": "whsec_a whsec_a"},
            "STRIPE_WEBHOOK_SECRET holds a secret twice",
        ),
        (
            {"STRIPE_WEBHOOK_SECRET": "whsec_a,whsec_b,whsec_c"},
            "STRIPE_WEBHOOK_SECRET holds more than 2",
        ),
        ({"STRIPE_API_BASE": "stripe.test"}, "STRIPE_API_BASE has to be"),
        ({"STRIPE_API_BASE": "https://"}, "STRIPE_API_BASE has to be"),
        (
            {"WITH_STRIPE_DOUBLE": "true", "STRIPE_SECRET_KEY": "sk_test_x"},
            "WITH_STRIPE_DOUBLE makes its own",
        ),
        ({"WITH_STRIPE_DOUBLE": "true", "PORT": "0"}, "WITH_STRIPE_DOUBLE needs a PORT"),
    ],
)
def test_settings_that_cannot_work_are_refused(environ: dict[str, str], problem: str) -> None:
    (told,) = problems_of(environ)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://a.test/", "https://a.test"),
        ("https://a.test/tickets", "https://a.test"),
        ("https://a.test?x", "https://a.test"),
        ("https://A.test", "https://a.test"),
        ("https://a.test:443", "https://a.test"),
        ("http://a.test:80", "http://a.test"),
        ("http://a.test:443/", "http://a.test:443"),
        ("https://user@a.test", "https://a.test"),
        ("https://łódź.test", "https://xn--d-uga0v4h.test"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_the_one_they_do(
    written: str, sent: str
) -> None:
    (told,) = problems_of({"ALLOWED_ORIGINS": written})
    assert told == f"ALLOWED_ORIGINS: {written} never matches: browsers write {sent}"
    assert load_settings({"ALLOWED_ORIGINS": sent}).allowed_origins == (sent,)


def test_sound_production_settings_are_accepted_with_the_demo_off() -> None:
    settings = load_settings(SOUND_PRODUCTION)
    assert settings.production
    assert not settings.demo_payment
    assert not settings.demo_data


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"JWT_SECRET_KEY": ""}, "JWT_SECRET_KEY is required"),
        ({"ENCRYPTION_KEYS": ""}, "ENCRYPTION_KEYS is required"),
        ({"ENCRYPTION_KEYS": "ab" * 32}, "ENCRYPTION_KEYS holds a key that is not random"),
        ({"TICKET_SIGNING_KEYS": ""}, "TICKET_SIGNING_KEYS is required"),
        ({"TICKET_SIGNING_KEYS": "ab" * 32}, "TICKET_SIGNING_KEYS holds a key that is not random"),
        ({"JWT_SECRET_KEY": "change-me-" * 4}, "JWT_SECRET_KEY looks like"),
        ({"JWT_SECRET_KEY": "abcabcabc" * 4}, "JWT_SECRET_KEY looks like"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is required"),
        ({"DATABASE_URL": "postgresql://cinema:cinema@db/cinema"}, "DATABASE_URL has"),
        ({"DEMO_PAYMENT": "true"}, "DEMO_PAYMENT must be off"),
        ({"DEMO_DATA": "true"}, "DEMO_DATA must be off"),
        ({"PUBLIC_URL": "http://tickets.cinema.test"}, "PUBLIC_URL must be"),
        ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES must name"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES must name only proxies"),
        ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES must name only proxies"),
        ({"TRUSTED_PROXIES": "::ffff:0:0/96"}, "TRUSTED_PROXIES must name only proxies"),
        ({"TRUSTED_PROXIES": "128.0.0.0/1,0.0.0.0/1"}, "TRUSTED_PROXIES must name only proxies"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS must not"),
        ({"ALLOWED_ORIGINS": "http://www.cinema.test"}, "ALLOWED_ORIGINS: http://www"),
        ({"DATABASE_URL": "postgresql://cinema:s3cr@db/cinema"}, "DATABASE_URL has a password"),
        (
            {"DATABASE_READ_URL": "postgresql://reader:change-me-please@db/cinema"},
            "DATABASE_READ_URL has a password",
        ),
        (
            {"DATABASE_POOLER_URL": "postgresql://cinema:change-me-please@pooler/cinema"},
            "DATABASE_POOLER_URL has a password",
        ),
        ({"REDIS_URL": "redis://redis:6379/0", "NODE_HOST": "a"}, "REDIS_URL must have"),
        ({"REDIS_URL": "redis://:redis@redis/0", "NODE_HOST": "a"}, "REDIS_URL has a password"),
        (
            {"REDIS_URL": "redis://localhost", "CLUSTER_SECRET": "change-me-" * 4},
            "CLUSTER_SECRET looks like",
        ),
        (
            {"REDIS_URL": "redis://localhost", "CLUSTER_SECRET": SOUND_KEY},
            "CLUSTER_SECRET is the JWT_SECRET_KEY",
        ),
        ({"CONTROL_TOKEN": "change-me-" * 4}, "CONTROL_TOKEN looks like"),
        ({"CONTROL_TOKEN": SOUND_KEY}, "CONTROL_TOKEN is the JWT_SECRET_KEY"),
        ({"CONTROL_HOST": "0.0.0.0"}, "CONTROL_TOKEN is required"),
        ({"CONTROL_HOST": "control.cinema.test"}, "CONTROL_TOKEN is required"),
        ({"WITH_STRIPE_DOUBLE": "true"}, "WITH_STRIPE_DOUBLE must be off"),
        (
            {"STRIPE_SECRET_KEY": "sk_test_double", "STRIPE_WEBHOOK_SECRET": "whsec_a"},
            "STRIPE_SECRET_KEY is a test key",
        ),
        ({"STRIPE_SECRET_KEY": "sk_live_x"}, "STRIPE_WEBHOOK_SECRET is required"),
        ({"STRIPE_API_BASE": "http://stripe.test"}, "STRIPE_API_BASE must be https://"),
        ({"STRIPE_API_BASE": "https://localhost"}, "STRIPE_API_BASE must not be on this machine"),
    ],
)
def test_production_refuses_what_is_only_safe_while_developing(
    change: dict[str, str], problem: str
) -> None:
    (told,) = problems_of(SOUND_PRODUCTION | change)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    "change",
    [
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"REDIS_URL": "redis://[::1]/0"},
        {"REDIS_URL": "unix:///run/redis.sock"},
        {"REDIS_URL": "rediss://:q7fJ2mX9vLc4RzT8@redis/0"},
        {"DATABASE_URL": "postgresql://cinema:q7fJ2mX9vLc4RzT8@db/cinema"},
        {"TRUSTED_PROXIES": "10.0.0.0/8,fc00::/7,::ffff:10.0.0.1"},
        {"ALLOWED_ORIGINS": "https://www.cinema.test"},
        {"STRIPE_SECRET_KEY": "rk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_a whsec_b"},
        {"STRIPE_API_BASE": "https://stripe.test"},
    ],
    ids=str,
)
def test_production_takes_what_is_sound(change: dict[str, str]) -> None:
    assert load_settings(SOUND_PRODUCTION | {"NODE_HOST": "a"} | change).production


def test_a_secret_is_read_from_the_file_named(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SOUND_KEY + "\n")
    assert load_settings({"JWT_SECRET_KEY_FILE": str(file)}).jwt_secret_key == SOUND_KEY


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {"JWT_SECRET_KEY": SOUND_KEY, "JWT_SECRET_KEY_FILE": str(tmp_path / "key")}
    assert problems_of(environ) == [
        "JWT_SECRET_KEY: is set, and so is JWT_SECRET_KEY_FILE; give one"
    ]


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    (told,) = problems_of({"JWT_SECRET_KEY_FILE": str(missing)})
    assert str(missing) in told


def test_a_secret_is_not_shown() -> None:
    settings = load_settings({"JWT_SECRET_KEY": SOUND_KEY})
    assert SOUND_KEY not in repr(settings)
    assert settings.jwt_secret_key == SOUND_KEY


def test_a_development_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    first = with_jwt_secret(settings)
    second = with_jwt_secret(settings)
    (file,) = (tmp_path / "data").iterdir()
    assert len(first.jwt_secret_key) >= 32
    assert first.jwt_secret_key == second.jwt_secret_key == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_development_encryption_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    first = with_encryption_keys(settings)
    second = with_encryption_keys(settings)
    (file,) = (tmp_path / "data").iterdir()
    assert first.encryption_keys == second.encryption_keys == file.read_text()
    assert [len(key) for key in encryption_keys(first.encryption_keys)] == [32]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert with_encryption_keys(first) is first


def test_a_development_ticket_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    first = with_ticket_keys(settings)
    second = with_ticket_keys(settings)
    (file,) = (tmp_path / "data").iterdir()
    assert first.ticket_signing_keys == second.ticket_signing_keys == file.read_text()
    assert [len(key) for key in encryption_keys(first.ticket_signing_keys)] == [32]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert with_ticket_keys(first) is first


@pytest.mark.parametrize(
    "text",
    [
        "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=",
        "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs",
        "deadbeef000102030405060708090A0B0C0D0E0F101112131415161718191a1b",
    ],
    ids=["base64", "for addresses, without padding", "hexadecimal"],
)
def test_an_encryption_key_is_read_in_each_spelling(text: str) -> None:
    key = bytes.fromhex("deadbeef") + bytes(range(28))
    other = "ab" * 32
    assert encryption_keys(text) == (key,)
    assert encryption_keys(f"{other},\n{text}\n") == (bytes.fromhex(other), key)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("no-base64!", "holds a key that is not base64"),
        ("c2hvcnQ=", "holds a key of 5 bytes instead of 32"),
        (f"{'ab' * 32} {'AB' * 32}", "holds a key twice"),
        (" ".join(f"{n:02x}" * 32 for n in range(17)), "holds more than 16 keys"),
    ],
)
def test_encryption_keys_that_are_none_are_refused(keys: str, problem: str) -> None:
    (told,) = problems_of({"ENCRYPTION_KEYS": keys})
    assert told.startswith(f"ENCRYPTION_KEYS {problem}")
    assert keys not in told


def test_an_admin_token_is_made_once_kept_private_and_found_by_clients(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    assert found_control_token(settings) == ""
    made = with_control_token(settings)
    (file,) = (tmp_path / "data").iterdir()
    assert len(made.control_token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert with_control_token(settings).control_token == made.control_token
    assert found_control_token(settings) == made.control_token


def test_in_production_no_admin_token_is_made(tmp_path: Path) -> None:
    settings = load_settings(SOUND_PRODUCTION | {"DATA_DIR": str(tmp_path / "data")})
    assert with_control_token(settings).control_token == ""
    assert not settings.data_dir.exists()


def test_a_given_admin_token_wins_over_one_that_was_made(tmp_path: Path) -> None:
    with_control_token(Settings(data_dir=tmp_path))
    given = Settings(data_dir=tmp_path, control_token=Secret(SOUND_KEY))
    assert with_control_token(given) is given
    assert found_control_token(given) == SOUND_KEY


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_production_needs_no_admin_token_on_loopback(host: str) -> None:
    assert load_settings(SOUND_PRODUCTION | {"CONTROL_HOST": host}).control_token == ""


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("", "http://127.0.0.1:80"),
        ("node-1", "http://node-1:80"),
    ],
)
def test_a_printed_address_can_be_opened_on_this_machine(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_control_endpoints_are_announced_until_they_are_withdrawn(tmp_path: Path) -> None:
    assert announced(tmp_path) == []
    first = announce(tmp_path, "127.0.0.1", 4000)
    second = announce(tmp_path, "0.0.0.0", 4001)
    announce(tmp_path, "::1", 4002)
    for age, port in enumerate((4002, 4001, 4000)):
        os.utime(tmp_path / "control" / str(port), (1000 - age, 1000 - age))
    assert announced(tmp_path) == [
        "http://[::1]:4002",
        "http://127.0.0.1:4001",
        "http://127.0.0.1:4000",
    ]
    withdraw(second)
    withdraw(second)
    withdraw(first)
    assert announced(tmp_path) == ["http://[::1]:4002"]


def test_a_given_key_is_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", jwt_secret_key=Secret(SOUND_KEY))
    assert with_jwt_secret(settings) is settings
    assert not settings.data_dir.exists()


def test_the_example_file_is_what_the_code_says() -> None:
    assert (ROOT / ".env.example").read_text() == example(), (
        "write it anew: python -m cinema check-config --example > .env.example"
    )


def test_the_example_uncommented_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = [line.removeprefix("#") for line in example().splitlines() if "=" in line]
    environ = dict(line.split("=", 1) for line in lines if line.split("=")[0].isupper())
    assert set(environ) >= {field.variable for field in fields()}
    assert load_settings(environ) == Settings()


def test_every_setting_but_the_secrets_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    words = capsys.readouterr().out.split()
    for field in fields():
        assert ("--" + field.attribute.replace("_", "-") in words) is not field.secret


def test_checking_the_configuration_prints_it_without_the_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", SOUND_KEY)
    assert main(["check-config", "--port", "9001", "--no-demo-data"]) == 0
    printed = capsys.readouterr().out
    assert "PORT=9001\n" in printed
    assert "DEMO_DATA=false\n" in printed
    assert "JWT_SECRET_KEY=(set)\n" in printed
    assert SOUND_KEY not in printed


def test_a_wrong_configuration_ends_with_its_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    assert main(["check-config"]) == 2
    assert capsys.readouterr().err == (
        "cinema: PORT: 'eighty' is not a whole number from 0 to 65535\n"
    )


def test_a_default_that_depends_on_the_machine_is_not_written_out() -> None:
    (folder,) = [field for field in fields() if field.attribute == "data_dir"]
    assert default_text(folder) == "data"


def test_control_tokens_name_their_holders_and_keep_their_order() -> None:
    text = "ada@desk:new-of-ada, ada@desk:old-of-ada\n plain  has:colon:within"
    assert parsed_tokens(text) == (
        ("ada@desk", "new-of-ada"),
        ("ada@desk", "old-of-ada"),
        ("operator", "plain"),
        ("has", "colon:within"),
    )


def test_a_secret_knows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x" * 40 + "\n")
    read = load_settings({"CONTROL_TOKEN_FILE": str(file)}).control_token
    assert (read, read.file) == ("x" * 40, file)
    assert load_settings({"CONTROL_TOKEN": "x" * 40}).control_token.file is None


def test_signing_keys_stand_one_a_line_and_may_hold_spaces() -> None:
    sentence = "signs tokens, and nothing else, until autumn"
    assert signing_keys(f"{SOUND_KEY}\n\n {sentence} \n") == (SOUND_KEY, sentence)
    loaded = load_settings({"JWT_SECRET_KEY": f"{SOUND_KEY}\n{sentence}"})
    assert signing_keys(loaded.jwt_secret_key) == (SOUND_KEY, sentence)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (f"{SOUND_KEY}\nshort", "JWT_SECRET_KEY is shorter"),
        (f"{SOUND_KEY}\n{SOUND_KEY}", "JWT_SECRET_KEY holds a key twice"),
        ("\n".join(SOUND_KEY + str(n) for n in range(5)), "JWT_SECRET_KEY holds more than 4 keys"),
    ],
)
def test_signing_keys_that_are_none_are_refused(keys: str, problem: str) -> None:
    (told,) = problems_of({"JWT_SECRET_KEY": keys})
    assert told.startswith(problem)


def test_a_cluster_whose_signing_keys_change_needs_a_secret_of_its_own() -> None:
    cluster = {
        "REDIS_URL": "redis://127.0.0.1:6379",
        "JWT_SECRET_KEY": f"{SOUND_KEY}\n{SOUND_KEY[::-1]}",
    }
    (told,) = problems_of(cluster)
    assert told.startswith("CLUSTER_SECRET must be set")
    load_settings(cluster | {"CLUSTER_SECRET": SOUND_KEY.swapcase()})


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay.lan", SmtpServer("smtp", "relay.lan", 25, None, None)),
        ("smtp://:secret@localhost:2525", SmtpServer("smtp", "localhost", 2525, None, "secret")),
        (
            "smtp+starttls://a%40b:p%2Fw@mail.example.com",
            SmtpServer("smtp+starttls", "mail.example.com", 587, "a@b", "p/w"),
        ),
        ("smtps://mail.example.com", SmtpServer("smtps", "mail.example.com", 465, None, None)),
    ],
)
def test_a_mail_server_is_read_with_its_usual_port(url: str, server: SmtpServer) -> None:
    assert smtp_server(url) == server
    assert list(problems_of_mail(url, "Cinema <no-reply@example.com>")) == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"SMTP_URL": "mail.example.com"}, "SMTP_URL has to begin with smtp://"),
        ({"SMTP_URL": "smtps://:465"}, "SMTP_URL names no host"),
        ({"SMTP_URL": "smtps://host:pass-word"}, "SMTP_URL is not an address"),
        ({"SMTP_URL": "smtp://u:pass-word@host"}, "SMTP_URL would send its password without TLS"),
        ({"SMS_API_URL": "sms.example.com"}, "SMS_API_URL has to be an address"),
        ({"SMS_API_URL": "https://"}, "SMS_API_URL has to be an address"),
        ({"SMS_API_URL": "https://[pass-word"}, "SMS_API_URL is not an address"),
        ({"MAIL_FROM": "Cinema"}, "MAIL_FROM has to be an address"),
        ({"MAIL_FROM": "a@b\nBcc: c@d"}, "MAIL_FROM has to be an address"),
        ({"MAIL_FROM": "Kino <a@b.example>, c@d.example"}, "MAIL_FROM has to be an address"),
    ],
)
def test_how_mails_cannot_leave_is_told_at_the_start(values: dict[str, str], problem: str) -> None:
    told = problems_of(values)
    assert any(one.startswith(problem) for one in told), told
    assert "pass-word" not in repr(told)
