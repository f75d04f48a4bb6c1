"""What is mounted where."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from accounts.mail_samples import MAIL_SAMPLES
from authsvc.http.docs import docs, redoc
from authsvc.http.schema import schema
from authsvc.mail.pages import previews
from authsvc.ops import health
from authsvc.tokens.api.jwks import jwks
from config.readiness import CHECKS

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/schema", schema, name="schema"),
    path("api/v1/docs", docs, name="docs"),
    path("api/v1/redoc", redoc, name="redoc"),
    path("api/v1/", include("config.api_v1")),
    path("api/", include("config.api_v1")),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz(CHECKS), name="readyz"),
    path("", include("accounts.api.pages.urls")),
    path("", include("authsvc.ops.urls")),
]
if settings.EMBEDDED:
    urlpatterns += [path("", include("authsvc.mail.urls")), path("mailbox/", include(previews(MAIL_SAMPLES)))]
if settings.ADMIN_OPEN:
    urlpatterns += [path("admin/", admin.site.urls)]

handler400 = "authsvc.http.errors.bad_request"
handler403 = "authsvc.http.errors.permission_denied"
handler404 = "authsvc.http.errors.not_found"
handler500 = "authsvc.http.errors.server_error"
