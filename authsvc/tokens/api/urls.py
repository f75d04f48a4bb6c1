"""Routes of sessions, and of machines that ask about them."""

from django.urls import path

from authsvc.tokens.api.devices import KnownDevicesView, KnownDeviceView
from authsvc.tokens.api.machines import IntrospectView, RevokeView
from authsvc.tokens.api.sessions import LogoutAllView, LogoutView, RefreshView, SessionsView, SessionView

urlpatterns = [
    path("auth/refresh", RefreshView.as_view()),
    path("auth/logout", LogoutView.as_view()),
    path("auth/logout-all", LogoutAllView.as_view()),
    path("users/me/sessions", SessionsView.as_view()),
    path("users/me/sessions/<uuid:id>", SessionView.as_view()),
    path("users/me/devices", KnownDevicesView.as_view()),
    path("users/me/devices/<uuid:id>", KnownDeviceView.as_view()),
    path("auth/introspect", IntrospectView.as_view()),
    path("auth/revoke", RevokeView.as_view()),
]
