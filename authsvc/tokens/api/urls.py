"""Routes of sessions."""

from django.urls import path

from authsvc.tokens.api.sessions import LogoutAllView, LogoutView, RefreshView

urlpatterns = [
    path("auth/refresh", RefreshView.as_view()),
    path("auth/logout", LogoutView.as_view()),
    path("auth/logout-all", LogoutAllView.as_view()),
]
