"""Routes of the operations pages. The probes are mounted where their checks are known."""

from django.urls import path

from authsvc.ops.landing import landing

urlpatterns = [path("", landing, name="landing")]
