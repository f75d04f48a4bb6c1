"""Who may call, beyond being signed in."""

from typing import cast

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from authsvc.tokens.models import Session
from authsvc.tokens.services import step_up


class RecentlyReauthenticated(IsAuthenticated):
    """Signed in, with a full proof of identity within the last `STEP_UP_SECONDS`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether somebody is signed in. Raises `ReauthenticationRequired` where the proof is too old."""
        if not super().has_permission(request, view):
            return False
        step_up.require(cast("Session", request.auth))
        return True
