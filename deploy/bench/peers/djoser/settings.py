"""djoser with simplejwt, as its documentation sets them up."""

from deploy.bench.peers import startproject
from deploy.bench.peers.startproject import (  # noqa: F401 - settings are what this module has
    ALLOWED_HOSTS,
    AUTH_PASSWORD_VALIDATORS,
    DATABASES,
    DEBUG,
    DEFAULT_AUTO_FIELD,
    EMAIL_BACKEND,
    MIDDLEWARE,
    SECRET_KEY,
    STATIC_URL,
    TEMPLATES,
    TIME_ZONE,
    USE_TZ,
)

INSTALLED_APPS = [*startproject.INSTALLED_APPS, "djoser"]
ROOT_URLCONF = "deploy.bench.peers.djoser.urls"
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]}
SIMPLE_JWT = {**startproject.SIMPLE_JWT, "AUTH_HEADER_TYPES": ("Bearer",)}
