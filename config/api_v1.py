"""The routes of version 1. A version 2 is one more such file."""

from django.urls import include, path

urlpatterns = [
    path("", include("accounts.api.urls")),
    path("", include("authsvc.tokens.api.urls")),
]
