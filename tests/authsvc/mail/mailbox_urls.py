"""The URLs as embedded mode mounts them, whatever the profile of the test run."""

from django.urls import include, path

from accounts.mail_samples import MAIL_SAMPLES
from authsvc.mail.pages import previews
from config import urls

handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
urlpatterns = [
    *urls.urlpatterns,
    path("", include("authsvc.mail.urls")),
    path("mailbox/", include(previews(MAIL_SAMPLES))),
]
