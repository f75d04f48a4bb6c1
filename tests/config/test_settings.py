"""What the environment may say, and how a wrong one is refused."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.env import Environment, SettingsProblem, load

ROOT = Path(__file__).resolve().parents[2]
KEY = urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = urlsafe_b64encode(bytes(range(1, 33))).decode().rstrip("=")
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "correct-horse-battery-staple-0123456789-abcdefghijklmnop",
    "ENCRYPTION_KEYS": KEY,
    "DATABASE_URL": "postgresql://authsvc:dbpass%2F1@db.internal:6432/authsvc?sslmode=require",
    "REDIS_URL": "rediss://:redispass@cache.internal:6380/1",
    "CELERY_BROKER_URL": "amqps://authsvc:rabbitpass@queue.internal/authsvc",
    "EMAIL_URL": "smtp://mailer:mailpass@mail.internal:587",
    "DEFAULT_FROM_EMAIL": "Accounts <accounts@example.com>",
    "PUBLIC_URL": "https://auth.example.com",
    "ALLOWED_HOSTS": "auth.example.com",
}
STACK = {
    **PRODUCTION,
    "DATABASE_URL": "postgresql://authsvc:dbpass@127.0.0.1:40123/authsvc",
    "REDIS_URL": "redis://:redispass@127.0.0.1:40124/0",
    "CELERY_BROKER_URL": "redis://:redispass@127.0.0.1:40124/1",
    "EMAIL_URL": "file:///srv/authsvc/var/stack/mail",
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "ALLOWED_HOSTS": "127.0.0.1, localhost",
    "WEB_PROCESSES": "2",
}
OWN_SERVERS = {"APP_ENV": "development", "DATABASE_URL": "postgresql:///authsvc", "REDIS_URL": "redis://localhost"}
SECRETS = ("correct-horse", KEY, OTHER_KEY, "dbpass", "redispass", "rabbitpass", "mailpass", "hunter2")


def problems(environ: Mapping[str, str]) -> dict[str, str]:
    with pytest.raises(SettingsProblem) as refusal:
        load(environ)
    message = str(refusal.value)
    assert not [secret for secret in SECRETS if secret in message]
    for name, reason in refusal.value.problems:
        assert f"  {name}: {reason}" in message.splitlines()
    return dict(refusal.value.problems)


@pytest.mark.parametrize(
    ("change", "blamed"),
    [
        ({"APP_ENV": "staging"}, "APP_ENV"),
        ({"SECRETS_BACKEND": "vault"}, "SECRETS_BACKEND"),
        ({"SECRETS_BACKEND": "hunter2"}, "SECRETS_BACKEND"),
        ({"SECRET_KEY": "short-but-varied-hunter2"}, "SECRET_KEY"),
        ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY"),
        ({"SECRET_KEY": "django-insecure-0123456789-0123456789-0123456789-abcdef"}, "SECRET_KEY"),
        ({"ENCRYPTION_KEYS": "hunter2"}, "ENCRYPTION_KEYS"),
        ({"ENCRYPTION_KEYS": KEY.replace("A", "!")}, "ENCRYPTION_KEYS"),
        ({"ENCRYPTION_KEYS": f"{KEY},{KEY.rstrip('=')}"}, "ENCRYPTION_KEYS"),
        ({"ENCRYPTION_KEYS": urlsafe_b64encode(b"\x07" * 32).decode()}, "ENCRYPTION_KEYS"),
        ({"ENCRYPTION_KEYS": urlsafe_b64encode(bytes(range(33))).decode()}, "ENCRYPTION_KEYS"),
        ({"ENCRYPTION_KEYS": ","}, "ENCRYPTION_KEYS"),
        ({"DATABASE_URL": "sqlite:///hunter2.db"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://authsvc:hunter2@db.internal"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://authsvc:hunter2@db.internal:port/authsvc"}, "DATABASE_URL"),
        ({"DATABASE_REPLICA_URL": "mysql://hunter2@db.internal/authsvc"}, "DATABASE_REPLICA_URL"),
        ({"REDIS_URL": "redis+sentinel://hunter2@cache.internal/0"}, "REDIS_URL"),
        ({"REDIS_URL": "memcached://cache.internal"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://cache.internal/first"}, "REDIS_URL"),
        ({"CELERY_BROKER_URL": "memory://"}, "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "sqs://hunter2"}, "CELERY_BROKER_URL"),
        ({"EMAIL_URL": "console://"}, "EMAIL_URL"),
        ({"EMAIL_URL": "file://relative/folder"}, "EMAIL_URL"),
        ({"EMAIL_URL": "mail.internal:25"}, "EMAIL_URL"),
        ({"DEFAULT_FROM_EMAIL": "nobody"}, "DEFAULT_FROM_EMAIL"),
        ({"DEFAULT_FROM_EMAIL": "a@example.com\nBcc: hunter2@example.com"}, "DEFAULT_FROM_EMAIL"),
        ({"PUBLIC_URL": "http://auth.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://auth.example.com/base"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://auth.example.com?x=1"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://auth.example.com#x"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://auth.example.com;"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://user:hunter2@auth.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://auth.example.com:99999"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "auth.example.com"}, "PUBLIC_URL"),
        ({"FRONTEND_URL": "https://app.example.com/welcome"}, "FRONTEND_URL"),
        ({"FRONTEND_URL": "http://app.example.com"}, "FRONTEND_URL"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "https://auth.example.com"}, "ALLOWED_HOSTS"),
        ({"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES"),
        ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS"),
        ({"CORS_ALLOWED_ORIGINS": "https://app.example.com/path"}, "CORS_ALLOWED_ORIGINS"),
        ({"REDIRECT_ALLOWLIST": "https://app.example.com/*"}, "REDIRECT_ALLOWLIST"),
        ({"REDIRECT_ALLOWLIST": "javascript:alert(1)"}, "REDIRECT_ALLOWLIST"),
        ({"METRICS_TOKEN": "hunter2"}, "METRICS_TOKEN"),
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "65536"}, "PORT"),
        ({"PORT": "http"}, "PORT"),
        ({"WORKER_METRICS_PORT": "8000"}, "WORKER_METRICS_PORT"),
        ({"WEB_PROCESSES": "0"}, "WEB_PROCESSES"),
        ({"READINESS_GATES": "database,mail"}, "READINESS_GATES"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_TRACES_SAMPLER_ARG": "5"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({"JWT_ISSUER": "http://auth.example.com"}, "JWT_ISSUER"),
        ({"JWT_ALGORITHM": "HS256"}, "JWT_ALGORITHM"),
        ({"JWT_ALGORITHM": "ES512"}, "JWT_ALGORITHM"),
        ({"ACCESS_TOKEN_MINUTES": "0"}, "ACCESS_TOKEN_MINUTES"),
        ({"ACCESS_TOKEN_MINUTES": "61"}, "ACCESS_TOKEN_MINUTES"),
        ({"REFRESH_IDLE_DAYS": "31"}, "REFRESH_IDLE_DAYS"),
        ({"SESSION_MAX_DAYS": "6"}, "REFRESH_IDLE_DAYS"),
        ({"PASSWORD_POLICY": "lax"}, "PASSWORD_POLICY"),
        ({"REGISTRATION_NEUTRAL": "maybe"}, "REGISTRATION_NEUTRAL"),
        ({"UNVERIFIED_TTL_DAYS": "0"}, "UNVERIFIED_TTL_DAYS"),
        ({"LIMIT_GLOBAL": "100"}, "LIMIT_GLOBAL"),
        ({"LIMIT_SIGNIN": "0/15m"}, "LIMIT_SIGNIN"),
        ({"LIMIT_MAIL": "3/1y"}, "LIMIT_MAIL"),
        ({"LOCKOUT_CAP": "4"}, "LOCKOUT_CAP"),
        ({"HASH_POOL_SIZE": "0"}, "HASH_POOL_SIZE"),
        ({"HASH_WAIT_SECONDS": "0"}, "HASH_WAIT_SECONDS"),
        ({"HSTS_PRELOAD": "perhaps"}, "HSTS_PRELOAD"),
        ({"WEBAUTHN_RP_ID": "https://example.com"}, "WEBAUTHN_RP_ID"),
        ({"OIDC_PROVIDERS": "hunter2"}, "OIDC_PROVIDERS"),
        ({"OIDC_PROVIDERS": '[{"id": "corp", "name": "Corp", "clientSecret": "hunter2"}]'}, "OIDC_PROVIDERS"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change: dict[str, str], blamed: str) -> None:
    assert set(problems({**PRODUCTION, **change})) == {blamed}


@pytest.mark.parametrize(
    ("environ", "blamed"),
    [
        ({"DATABASE_URL": "postgresql://localhost/authsvc"}, "DATABASE_URL"),
        ({"REDIS_URL": "redis://localhost"}, "REDIS_URL"),
        ({"CELERY_BROKER_URL": "redis://localhost"}, "CELERY_BROKER_URL"),
        ({"EMAIL_URL": "smtp://localhost"}, "EMAIL_URL"),
        ({"PUBLIC_URL": "https://auth.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://127.0.0.1.example.com"}, "PUBLIC_URL"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"WEB_PROCESSES": "2"}, "WEB_PROCESSES"),
        ({"READINESS_GATES": "redis"}, "READINESS_GATES"),
    ],
)
def test_embedded_mode_refuses_what_it_would_have_to_ignore(environ: dict[str, str], blamed: str) -> None:
    assert set(problems(environ)) == {blamed}


def test_every_problem_is_named_at_once_in_the_order_of_the_documentation() -> None:
    environ = {
        **PRODUCTION,
        "SECRET_KEY": "hunter2",
        "ENCRYPTION_KEYS": "",
        "PUBLIC_URL": "http://auth.example.com",
        "PORT": "0",
        "JWT_ALGORITHM": "none",
        "REFRESH_IDLE_DAYS": "60",
    }

    named = list(problems(environ))

    assert named == ["SECRET_KEY", "ENCRYPTION_KEYS", "PUBLIC_URL", "PORT", "JWT_ALGORITHM", "REFRESH_IDLE_DAYS"]


def test_production_names_everything_that_it_lacks() -> None:
    lacking = problems({"APP_ENV": "production"})

    assert set(lacking) == set(PRODUCTION) - {"APP_ENV"}
    assert set(lacking.values()) == {"is missing; production needs it"}


def test_development_needs_servers_and_nothing_else() -> None:
    assert set(problems({"APP_ENV": "development"})) == {"DATABASE_URL", "REDIS_URL"}
    assert load(OWN_SERVERS).APP_ENV == "development"


def test_an_empty_value_counts_as_unset() -> None:
    assert load(dict.fromkeys(Environment.model_fields, "")) == load({})
    assert set(problems({**PRODUCTION, "DATABASE_URL": "  "})) == {"DATABASE_URL"}


def test_an_empty_environment_is_embedded_mode_on_loopback() -> None:
    env = load({"PORT": "8123"})

    assert env.APP_ENV == "embedded"
    assert env.public_url == "http://127.0.0.1:8123"
    assert env.web_processes == 1


def test_a_good_production_environment_is_read_whole() -> None:
    env = load(PRODUCTION)

    assert (bytes(range(32)),) == env.ENCRYPTION_KEYS
    assert env.DATABASE_URL is not None
    assert (env.DATABASE_URL.host, env.DATABASE_URL.port, env.DATABASE_URL.name) == ("db.internal", "6432", "authsvc")
    assert env.DATABASE_URL.password == "dbpass/1"
    assert env.DATABASE_URL.parameters == {"sslmode": "require"}
    assert env.EMAIL_URL is not None
    assert (env.EMAIL_URL.scheme, env.EMAIL_URL.host, env.EMAIL_URL.port) == ("smtp", "mail.internal", 587)
    assert env.ALLOWED_HOSTS == ("auth.example.com",)
    assert (env.JWT_ALGORITHM, env.ACCESS_TOKEN_MINUTES, env.PASSWORD_POLICY) == ("ES256", 15, "strict")
    assert not env.is_loopback_http


def test_production_on_loopback_may_do_without_tls_and_keep_mail_as_files() -> None:
    env = load(STACK)

    assert env.is_loopback_http
    assert env.EMAIL_URL is not None
    assert env.EMAIL_URL.folder == "/srv/authsvc/var/stack/mail"


def test_settings_of_later_parts_are_read_today() -> None:
    env = load(
        {
            **PRODUCTION,
            "LIMIT_SIGNIN": "7/2h",
            "OIDC_PROVIDERS": """[{"id": "corp", "name": "Corp", "issuer": "https://id.example.com/",
                "clientId": "authsvc", "clientSecret": "hunter2", "authoritative": ["example.com"]}]""",
            "METRICS_TOKEN": "scrape-me-with-this",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.internal:4318",
            "WEBAUTHN_ORIGINS": "https://auth.example.com:443, https://app.example.com",
        }
    )

    assert (env.LIMIT_SIGNIN.count, env.LIMIT_SIGNIN.seconds) == (7, 7200)
    assert [provider.issuer for provider in env.OIDC_PROVIDERS] == ["https://id.example.com"]
    assert env.WEBAUTHN_ORIGINS == ("https://auth.example.com", "https://app.example.com")


@pytest.mark.parametrize("policy", ["strict", "hybrid", "nist"])
def test_every_password_policy_is_known(policy: str) -> None:
    assert policy == load({"PASSWORD_POLICY": policy}).PASSWORD_POLICY


def test_lists_are_separated_by_commas_and_keys_keep_their_order() -> None:
    env = load({**PRODUCTION, "ENCRYPTION_KEYS": f" {OTHER_KEY} , {KEY} ", "ALLOWED_HOSTS": "a.example, .b.example,"})

    assert (bytes(range(1, 33)), bytes(range(32))) == env.ENCRYPTION_KEYS
    assert env.ALLOWED_HOSTS == ("a.example", ".b.example")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Auth.Example.com/", "https://auth.example.com"),
        ("https://auth.example.com:443", "https://auth.example.com"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_one_public_url_has_one_spelling(text: str, url: str) -> None:
    assert load({**PRODUCTION, "PUBLIC_URL": text}).public_url == url


def test_any_setting_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY},{OTHER_KEY}\n", encoding="utf-8")
    (tmp_path / "port").write_text("8124\n", encoding="utf-8")
    environ = {**PRODUCTION, "ENCRYPTION_KEYS_FILE": str(tmp_path / "keys"), "PORT_FILE": str(tmp_path / "port")}
    del environ["ENCRYPTION_KEYS"]

    env = load(environ)

    assert (bytes(range(32)), bytes(range(1, 33))) == env.ENCRYPTION_KEYS
    assert env.PORT == 8124


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PRODUCTION["SECRET_KEY"], encoding="utf-8")

    assert set(problems({**PRODUCTION, "SECRET_KEY_FILE": str(tmp_path / "key")})) == {"SECRET_KEY"}


def test_a_file_that_cannot_be_read_is_named_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    environ = {name: value for name, value in PRODUCTION.items() if name not in {"SECRET_KEY", "REDIS_URL"}}

    found = problems(
        {
            **environ,
            "SECRET_KEY_FILE": str(tmp_path / "absent"),
            "METRICS_TOKEN_FILE": str(tmp_path / "binary"),
            "REDIS_URL_FILE": str(tmp_path / "empty"),
        }
    )

    assert found == {
        "SECRET_KEY_FILE": "cannot be read (No such file or directory)",
        "REDIS_URL": "is missing; production needs it",
        "METRICS_TOKEN_FILE": "is not a text file of at most 64 KiB",
    }


def test_no_representation_shows_a_secret() -> None:
    shown = repr(load({**PRODUCTION, "METRICS_TOKEN": "hunter2-and-more"}))

    assert not [secret for secret in SECRETS if secret in shown]


def test_every_variable_says_what_it_means() -> None:
    assert not [name for name, field in Environment.model_fields.items() if not field.description]


def manage(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in Environment.model_fields}
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_command_with_wrong_settings_ends_with_the_message_alone() -> None:
    result = manage("check", **{**PRODUCTION, "SECRET_KEY": "hunter2", "PORT": "hunter2"})

    assert result.returncode == 2
    assert result.stdout == ""
    assert [line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]] == ["SECRET_KEY", "PORT"]
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize("environ", [PRODUCTION, STACK], ids=["https", "loopback"])
def test_the_deployment_checks_have_nothing_to_say(environ: dict[str, str]) -> None:
    result = manage("check", "--deploy", "--fail-level", "DEBUG", **environ)

    assert (result.stdout, result.stderr) == ("System check identified no issues (0 silenced).\n", "")
    assert result.returncode == 0
