"""The routes of dj-rest-auth's documentation, and the one that its registration needs for mails."""

from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("dj-rest-auth/", include("dj_rest_auth.urls")),
    path("dj-rest-auth/registration/", include("dj_rest_auth.registration.urls")),
    path("confirm-email/<str:key>/", RedirectView.as_view(url="/"), name="account_confirm_email"),
]
