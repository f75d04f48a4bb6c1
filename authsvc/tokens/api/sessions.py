"""Going on with a session, and ending it."""

from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.pagination import PageOutOfRange, PageQuery, page_of
from authsvc.http.serializers import ChoiceField, Input, OpaqueField, TextField
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import SessionObject, TokensObject, session_object, tokens_object
from authsvc.tokens.authentication import bearer_token, calling_session
from authsvc.tokens.models import EndReason
from authsvc.tokens.services import access, sessions
from authsvc.tokens.services.access import InvalidToken
from authsvc.tokens.services.sessions import NoSuchSession

# Ours are shorter. One of another kind, such as an access token, is a wrong token and no malformed body.
REFRESH_TOKEN_MAX_LENGTH = 4096


_ORDERS = {
    "lastActivity": "last_activity_at",
    "-lastActivity": "-last_activity_at",
    "createdAt": "created_at",
    "-createdAt": "-created_at",
}


class RefreshInput(Input):
    """The token to be replaced."""

    refreshToken = OpaqueField(source="token", max_length=REFRESH_TOKEN_MAX_LENGTH)


class LogoutInput(Input):
    """The session to end, for a client whose access token is over."""

    refreshToken = OpaqueField(source="token", max_length=REFRESH_TOKEN_MAX_LENGTH, required=False)


class RefreshView(ApiView):
    """Exchanges a refresh token for its successor and a new access token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("refresh", takes=RefreshInput, gives=TokensObject, fails_with=[InvalidToken])
    def post(self, request: Request) -> Response:
        """Replace a refresh token.

        Each token works once. Presented again within ten seconds it gets the same successor;
        later, the session ends.
        """
        issued = sessions.refresh(**self.validated(RefreshInput), origin=origin_of(request))
        return self.done(_("Session continued."), tokens_object(issued))


class LogoutView(ApiView):
    """Ends one session; whoever holds one of its tokens may."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "logout",
        takes=LogoutInput,
        bearer_optional=True,
    )
    def post(self, request: Request) -> Response:
        """End the bearer's session, or that of the refresh token in the body. Safe to repeat."""
        refresh_token = self.validated(LogoutInput).get("token")
        self._end(request, refresh_token)
        return self.done(_("Signed out."))

    def _end(self, request: Request, refresh_token: str | None) -> None:
        try:
            bearer = bearer_token(request)
            if bearer is not None:
                claims = access.verify(bearer)
                sessions.end(session_id=claims.session_id, reason=EndReason.LOGOUT, origin=origin_of(request))
                return
        except InvalidToken:
            if refresh_token is None:
                raise
        if refresh_token is None:
            raise NotAuthenticated
        sessions.end_by_refresh_token(token=refresh_token, origin=origin_of(request))


class LogoutAllView(ApiView):
    """Ends every session of the caller."""

    @documented("logout_all")
    def post(self, request: Request) -> Response:
        """End all sessions of the caller. The calling one is among them: its tokens end at once."""
        self.validated(Input)
        sessions.end_all(user=self.caller, reason=EndReason.LOGOUT_ALL, origin=origin_of(request))
        return self.done(_("Signed out everywhere."))


class SessionsQuery(PageQuery):
    """Which of the caller's sessions, and in which order."""

    search = TextField(required=False, max_length=100)
    ordering = ChoiceField(choices=[*_ORDERS], required=False)


class SessionsView(ApiView):
    """The sessions of the caller."""

    @documented("sessions", query=SessionsQuery, gives=list[SessionObject], fails_with=[PageOutOfRange])
    def get(self, request: Request) -> Response:
        """List the caller's live sessions. The one that was active last comes first."""
        wanted = self.queried(SessionsQuery)
        order = _ORDERS[wanted.pop("ordering", "-lastActivity")]
        page = page_of(sessions.of_user(self.caller, search=wanted.pop("search", ""), order=order), **wanted)
        calling = calling_session(request)
        found = [session_object(session, current=session.pk == calling.pk) for session in page.rows]
        return self.done(_("Your sessions."), found, pagination=page.pagination)

    @documented("end_other_sessions")
    def delete(self, request: Request) -> Response:
        """End all sessions of the caller but the calling one. That one goes on with its tokens."""
        self.validated(Input)
        sessions.end_others(session=calling_session(request), reason=EndReason.OWNER, origin=origin_of(request))
        return self.done(_("All other sessions were ended."))


class SessionView(ApiView):
    """One session of the caller."""

    @documented("end_session", fails_with=[NoSuchSession])
    def delete(self, request: Request, *, id: UUID) -> Response:  # noqa: A002 - its name in the path
        """End one of the caller's sessions. The calling one may be it: its tokens end at once."""
        self.validated(Input)
        sessions.end_own(user=self.caller, session_id=id, origin=origin_of(request))
        return self.done(_("The session was ended."))
