"""The project's routes, and one that takes a fresh proof of identity."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from authsvc.http.views import ApiView
from authsvc.tokens.permissions import RecentlyReauthenticated
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as ours

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class VaultView(ApiView):
    """Opens to a fresh proof."""

    permission_classes = (RecentlyReauthenticated,)

    def get(self, request: Request) -> Response:
        """Open."""
        return self.done("Open.")


urlpatterns = [path("api/v1/vault", VaultView.as_view()), *ours]
