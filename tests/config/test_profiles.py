"""What each profile makes of Django's settings."""

import json
import os
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.test import RequestFactory

from config.env import Environment
from config.plain_http import PlainCookies

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "correct-horse-battery-staple-0123456789-abcdefghijklmnop",
    "ENCRYPTION_KEYS": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "DATABASE_URL": "postgresql://authsvc:secret@db.internal/authsvc?sslmode=require&options=-c%20search_path%3Dauth",
    "REDIS_URL": "redis://cache.internal/0",
    "CELERY_BROKER_URL": "redis://cache.internal/1",
    "EMAIL_URL": "smtps://mailer:secret@mail.internal",
    "DEFAULT_FROM_EMAIL": "accounts@example.com",
    "PUBLIC_URL": "https://auth.example.com",
    "ALLOWED_HOSTS": "auth.example.com",
    "WEB_PROCESSES": "64",
}


def settings(*names: str, **environ: str) -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if name not in Environment.model_fields}
    program = (
        "import json, sys; import config.settings as made;"
        "print(json.dumps({name: getattr(made, name) for name in sys.argv[1:]}, default=str))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=ROOT,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_production_behind_tls() -> None:
    made = settings(
        *("SECURE_TRANSPORT", "SECURE_SSL_REDIRECT", "SECURE_REDIRECT_EXEMPT", "LISTEN_HOST", "ADMIN_OPEN", "DEBUG"),
        *("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "JWT_ISSUER", "JWT_AUDIENCE", "HASH_POOL_SIZE", "HAS_REDIS"),
        *("READINESS_GATES", "SECURE_PROXY_SSL_HEADER", "EMAIL_PORT", "EMAIL_USE_SSL"),
        **PRODUCTION,
    )

    assert made == {
        "SECURE_TRANSPORT": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_REDIRECT_EXEMPT": [],
        "LISTEN_HOST": "0.0.0.0",  # noqa: S104 - behind TLS it serves others
        "ADMIN_OPEN": False,
        "DEBUG": False,
        "SESSION_COOKIE_NAME": "__Host-sessionid",
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "JWT_ISSUER": "https://auth.example.com",
        "JWT_AUDIENCE": "https://auth.example.com",
        "HASH_POOL_SIZE": 1,
        "HAS_REDIS": True,
        "READINESS_GATES": ["database", "redis", "emailQueue"],
        "SECURE_PROXY_SSL_HEADER": None,
        "EMAIL_PORT": 465,
        "EMAIL_USE_SSL": True,
    }


def test_production_by_plain_http_on_loopback() -> None:
    made = settings(
        *("SECURE_TRANSPORT", "SECURE_REDIRECT_EXEMPT", "LISTEN_HOST", "ADMIN_OPEN", "SESSION_COOKIE_NAME"),
        **{**PRODUCTION, "PUBLIC_URL": "http://localhost:8000"},
    )

    assert made == {
        "SECURE_TRANSPORT": False,
        "SECURE_REDIRECT_EXEMPT": [""],
        "LISTEN_HOST": "127.0.0.1",
        "ADMIN_OPEN": True,
        "SESSION_COOKIE_NAME": "sessionid",
    }


def test_the_database_is_pooled_and_bounded_and_its_url_has_the_last_word() -> None:
    database = settings("DATABASES", **PRODUCTION)["DATABASES"]["default"]
    plain = settings("DATABASES", **{**PRODUCTION, "DATABASE_URL": "postgresql://db.internal/authsvc"})

    assert (database["CONN_MAX_AGE"], database["DISABLE_SERVER_SIDE_CURSORS"]) == (0, True)
    assert database["OPTIONS"]["pool"] == {
        "min_size": 2,
        "max_size": 10,
        "max_idle": 30,
        "timeout": 1,
        "connection_class": "<class 'authsvc.bounded.BoundedConnection'>",
    }
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["options"] == "-c search_path=auth"
    assert plain["DATABASES"]["default"]["OPTIONS"]["options"] == (
        "-c statement_timeout=3000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000"
    )


def test_forwarded_protocols_count_behind_a_proxy_alone() -> None:
    made = settings("SECURE_PROXY_SSL_HEADER", **PRODUCTION, TRUSTED_PROXIES="1")

    assert made["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_a_development_server_shows_its_mail_and_its_errors() -> None:
    made = settings(
        *("DEBUG", "EMAIL_BACKEND", "CELERY_BROKER_URL", "LISTEN_HOST"),
        APP_ENV="development",
        SECRET_KEY="x",
        ENCRYPTION_KEYS=PRODUCTION["ENCRYPTION_KEYS"],
        DATABASE_URL="postgresql:///authsvc",
        REDIS_URL="redis://localhost/0",
    )

    assert made == {
        "DEBUG": True,
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
        "CELERY_BROKER_URL": "redis://localhost/0",
        "LISTEN_HOST": "127.0.0.1",
    }


def test_cookies_of_plain_http_come_back() -> None:
    def view(_request: object) -> HttpResponse:
        response = HttpResponse()
        response.set_cookie("sessionid", "1", secure=True, httponly=True, samesite="Lax")
        return response

    response = PlainCookies(view)(RequestFactory().get("/"))

    assert isinstance(response.cookies, SimpleCookie)
    assert response.cookies["sessionid"].OutputString() == "sessionid=1; HttpOnly; Path=/; SameSite=Lax"
