"""Routes of people and their flows."""

from django.urls import path

from accounts.api.email_change import EmailChangeView, EmailConfirmView, EmailUndoView
from accounts.api.leaving import ExportView, RestoreView
from accounts.api.magic_link import MagicLinkVerifyView, MagicLinkView
from accounts.api.me import MeView
from accounts.api.not_me import NotMeView
from accounts.api.password import ChangePasswordView, ForgotPasswordView, ResetPasswordView
from accounts.api.password_policy import PasswordPolicyView
from accounts.api.registration import RegisterView, ResendVerificationView, VerifyEmailView
from accounts.api.signin import LoginView, ReauthenticateView

urlpatterns = [
    path("auth/register", RegisterView.as_view()),
    path("auth/verify-email", VerifyEmailView.as_view()),
    path("auth/verify-email/resend", ResendVerificationView.as_view()),
    path("auth/login", LoginView.as_view()),
    path("auth/magic-link", MagicLinkView.as_view()),
    path("auth/magic-link/verify", MagicLinkVerifyView.as_view()),
    path("auth/not-me", NotMeView.as_view()),
    path("auth/password/forgot", ForgotPasswordView.as_view()),
    path("auth/password/reset", ResetPasswordView.as_view()),
    path("auth/password/policy", PasswordPolicyView.as_view()),
    path("auth/password/change", ChangePasswordView.as_view()),
    path("auth/reauthenticate", ReauthenticateView.as_view()),
    path("auth/email/confirm", EmailConfirmView.as_view()),
    path("auth/email/undo", EmailUndoView.as_view()),
    path("auth/restore", RestoreView.as_view()),
    path("users/me/export", ExportView.as_view()),
    path("users/me", MeView.as_view()),
    path("users/me/email", EmailChangeView.as_view()),
]
