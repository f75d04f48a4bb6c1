"""dj-rest-auth with simplejwt, and django-allauth for registration, as its documentation sets them up."""

import os

from deploy.bench.peers import startproject
from deploy.bench.peers.startproject import (  # noqa: F401 - settings are what this module has
    ALLOWED_HOSTS,
    AUTH_PASSWORD_VALIDATORS,
    DATABASES,
    DEBUG,
    DEFAULT_AUTO_FIELD,
    EMAIL_BACKEND,
    SECRET_KEY,
    SIMPLE_JWT,
    STATIC_URL,
    TEMPLATES,
    TIME_ZONE,
    USE_TZ,
)

INSTALLED_APPS = [
    *startproject.INSTALLED_APPS,
    "django.contrib.sites",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "dj_rest_auth",
    "dj_rest_auth.registration",
]
MIDDLEWARE = [*startproject.MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
ROOT_URLCONF = "deploy.bench.peers.dj_rest_auth.urls"
SITE_ID = 1
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["dj_rest_auth.jwt_auth.JWTCookieAuthentication"]}
# Without HTTPONLY the refresh token is in the body, as with the others, instead of a cookie.
REST_AUTH = {"USE_JWT": True, "JWT_AUTH_HTTPONLY": False, "TOKEN_MODEL": None}
# Limits are raised above the load, not switched off.
_RAISED = "1000000/s/ip"
ACCOUNT_RATE_LIMITS = {"signup": _RAISED, "login": _RAISED, "login_failed": _RAISED}
if os.environ.get("PEER_HASH") == "same":
    PASSWORD_HASHERS = ["deploy.bench.peers.hashers.SameHash"]
