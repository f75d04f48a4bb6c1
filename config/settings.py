"""Django's settings, made from `config.env`. Safe for production unless the profile says otherwise."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF

from config import databases, logs, passwords, state
from config.env import GATES, SettingsProblem, load
from config.machine import cpu_limit

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = BASE_DIR / "var"

try:
    env = load()
    _own = None if env.is_production else state.secrets_for(env, STATE_DIR)
    if env.is_embedded:
        state.private_folder(STATE_DIR)
except SettingsProblem as problem:
    sys.stderr.write(f"{problem}\n")
    raise SystemExit(2) from None

# The profile
APP_ENV = env.APP_ENV
EMBEDDED = env.is_embedded
DEBUG = env.APP_ENV == "development"
SECRET_KEY = _own.secret_key if _own else env.SECRET_KEY.get_secret_value() if env.SECRET_KEY else ""
ENCRYPTION_KEYS = _own.encryption_keys if _own else env.ENCRYPTION_KEYS

# Addresses
PUBLIC_URL = env.public_url
FRONTEND_URL = env.FRONTEND_URL
ALLOWED_HOSTS = list(env.ALLOWED_HOSTS) or ["127.0.0.1", "localhost", "[::1]"]
TRUSTED_PROXIES = env.TRUSTED_PROXIES
SECURE_TRANSPORT = PUBLIC_URL.startswith("https://")
ADMIN_OPEN = not env.is_production or env.is_loopback_http
# Plain HTTP stays on this machine; whoever serves others has TLS in front, and listens to it.
LISTEN_HOST = "127.0.0.1" if EMBEDDED or env.is_loopback_http else "0.0.0.0"  # noqa: S104
PORT = env.PORT
WEB_PROCESSES = env.web_processes
WEB_THREADS = databases.POOL_MAX - databases.OTHER_THREADS

# Tokens and sessions
JWT_ISSUER = env.JWT_ISSUER or PUBLIC_URL
JWT_AUDIENCE = env.JWT_AUDIENCE or PUBLIC_URL
JWT_ALGORITHM = env.JWT_ALGORITHM
ACCESS_TOKEN_LIFETIME = timedelta(minutes=env.ACCESS_TOKEN_MINUTES)
REFRESH_IDLE = timedelta(days=env.REFRESH_IDLE_DAYS)
SESSION_MAX = timedelta(days=env.SESSION_MAX_DAYS)
SESSIONS_PER_USER = env.SESSIONS_PER_USER
STEP_UP = timedelta(seconds=env.STEP_UP_SECONDS)

# People
REGISTRATION_NEUTRAL = env.REGISTRATION_NEUTRAL
UNVERIFIED_TTL = timedelta(days=env.UNVERIFIED_TTL_DAYS)
DELETION_GRACE = timedelta(days=env.DELETION_GRACE_DAYS)
PASSWORD_POLICY = env.PASSWORD_POLICY
LIMIT_MAIL = env.LIMIT_MAIL
HASH_POOL_SIZE = env.HASH_POOL_SIZE or max(1, cpu_limit() // WEB_PROCESSES)
HASH_WAIT_SECONDS = env.HASH_WAIT_SECONDS

# Parts
INSTALLED_APPS = [
    # Before the admin: its templates stand in for the admin's own.
    "accounts",
    "config.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "authsvc",
    "authsvc.tokens",
    "authsvc.mail",
    "authsvc.idempotency",
    "audit",
]
if env.CORS_ALLOWED_ORIGINS:
    INSTALLED_APPS.append("corsheaders")
# The API leaves this chain at its first link; the rest serves pages and the admin.
MIDDLEWARE = [
    "authsvc.http.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "authsvc.http.middleware.BodyLimitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]
if not SECURE_TRANSPORT:
    MIDDLEWARE.insert(1, "config.plain_http.PlainCookies")
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
FORCE_SCRIPT_NAME = ""  # never below a path, whatever the variables of the process are called
APPEND_SLASH = False
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Servers
HAS_REDIS = bool(env.REDIS_URL)
READINESS_GATES = env.READINESS_GATES or tuple(gate for gate in GATES if HAS_REDIS or gate != "redis")
if env.DATABASE_URL:
    DATABASES = {"default": databases.postgresql(env.DATABASE_URL)}
elif EMBEDDED:
    DATABASES = {"default": databases.sqlite(STATE_DIR / "authsvc.sqlite3")}
else:
    DATABASES = {"default": databases.sqlite(":memory:")}
CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if HAS_REDIS:
    CACHES["default"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.REDIS_URL,
        "KEY_PREFIX": "authsvc",
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.2, "SOCKET_TIMEOUT": 0.2},
    }
CELERY_BROKER_URL = env.CELERY_BROKER_URL or env.REDIS_URL or "memory://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 0.5,
    "socket_timeout": 5,  # above the second for which a worker's read waits
    "socket_keepalive": True,
    "visibility_timeout": 90,  # longer than any task, short enough that a dead worker's job moves on
    "max_retries": 0,
}
if EMBEDDED:
    CELERY_BROKER_TRANSPORT_OPTIONS["polling_interval"] = 0.05  # of the queue in memory; by default a second

# Mail
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.DEFAULT_FROM_EMAIL or "authsvc <no-reply@localhost>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
if env.EMAIL_URL and env.EMAIL_URL.scheme == "file":
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = env.EMAIL_URL.folder
elif env.EMAIL_URL and env.EMAIL_URL.scheme in {"smtp", "smtps"}:
    EMAIL_BACKEND = "config.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = env.EMAIL_URL.host, env.EMAIL_URL.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = env.EMAIL_URL.user, env.EMAIL_URL.password
    EMAIL_USE_SSL = env.EMAIL_URL.scheme == "smtps"

# Passwords
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "/admin/"
AUTHENTICATION_BACKENDS = ["accounts.authentication.AdminBackend"]
PASSWORD_HASHERS = [
    "authsvc.hashing.Argon2id",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = passwords.validators(
    PASSWORD_POLICY, product_words=passwords.words_of(PUBLIC_URL), breach_check=env.PASSWORD_BREACH_CHECK
)

# Browsers
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_SSL_REDIRECT = not DEBUG
SECURE_SSL_HOST = urlsplit(PUBLIC_URL).netloc
# Where the service itself is reached by plain HTTP, on loopback or in tests, there is nothing to redirect to.
SECURE_REDIRECT_EXEMPT = [] if SECURE_TRANSPORT else [r""]
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = env.HSTS_PRELOAD
# Not no-referrer: with it browsers send `Origin: null` with forms, which Django's CSRF check refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "__Host-sessionid" if SECURE_TRANSPORT else "sessionid"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE_TRANSPORT else "csrftoken"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "authsvc.http.errors.csrf_failure"
LANGUAGE_COOKIE_SECURE = True
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
CORS_ALLOWED_ORIGINS = list(env.CORS_ALLOWED_ORIGINS)
CORS_URLS_REGEX = r"^/(api|\.well-known)/"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "api-version",
    "deprecation",
    "link",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "sunset",
    "x-request-id",
]

# Static files are served from where the apps keep them: nothing has to be collected before a start.
STATIC_URL = "/static/"
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.AppDirectoriesFinder"]
WHITENOISE_USE_FINDERS = True

# Languages and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "authsvc" / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

# The API
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["authsvc.http.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["authsvc.http.parsing.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["authsvc.tokens.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "authsvc.http.openapi.EnvelopeSchema",
    "EXCEPTION_HANDLER": "authsvc.http.exceptions.handle",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "authsvc",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": PUBLIC_URL}],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "PREPROCESSING_HOOKS": ["authsvc.http.openapi.only_v1"],
    "POSTPROCESSING_HOOKS": ["authsvc.http.openapi.complete"],
}

LOG_LEVEL = env.LOG_LEVEL
LOGGING = logs.configuration(level=LOG_LEVEL, style=env.log_format)
