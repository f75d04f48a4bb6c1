"""Routes of people and their flows."""

from django.urls import path

from accounts.api.me import MeView
from accounts.api.registration import RegisterView, ResendVerificationView, VerifyEmailView
from accounts.api.signin import LoginView, ReauthenticateView

urlpatterns = [
    path("auth/register", RegisterView.as_view()),
    path("auth/verify-email", VerifyEmailView.as_view()),
    path("auth/verify-email/resend", ResendVerificationView.as_view()),
    path("auth/login", LoginView.as_view()),
    path("auth/reauthenticate", ReauthenticateView.as_view()),
    path("users/me", MeView.as_view()),
]
