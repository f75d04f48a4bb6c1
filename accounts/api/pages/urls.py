"""Where mailed links lead, unless `FRONTEND_URL` says otherwise."""

from django.urls import path

from accounts.api.pages.email_change import ConfirmEmailPage, UndoEmailChangePage
from accounts.api.pages.lifecycle import RestorePage
from accounts.api.pages.not_me import NotMePage
from accounts.api.pages.passwords import ForgotPasswordPage, ResetPasswordPage
from accounts.api.pages.registration import VerifyEmailPage

urlpatterns = [
    path("verify-email", VerifyEmailPage.as_view(), name="verify-email"),
    path("forgot-password", ForgotPasswordPage.as_view(), name="forgot-password"),
    path("reset-password", ResetPasswordPage.as_view(), name="reset-password"),
    path("confirm-email", ConfirmEmailPage.as_view(), name="confirm-email"),
    path("undo-email-change", UndoEmailChangePage.as_view(), name="undo-email-change"),
    path("restore", RestorePage.as_view(), name="restore"),
    path("not-me", NotMePage.as_view(), name="not-me"),
]
