"""The devices that the caller signed in with before."""

from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from authsvc.http.openapi import documented
from authsvc.http.origin import origin_of
from authsvc.http.pagination import PageOutOfRange, PageQuery, page_of
from authsvc.http.serializers import Input
from authsvc.http.views import ApiView
from authsvc.tokens.api.serializers import KnownDeviceObject, known_device_object
from authsvc.tokens.authentication import calling_session
from authsvc.tokens.services import known_devices
from authsvc.tokens.services.known_devices import NoSuchDevice


class KnownDevicesView(ApiView):
    """The known devices of the caller."""

    @documented("known_devices", query=PageQuery, gives=list[KnownDeviceObject], fails_with=[PageOutOfRange])
    def get(self, request: Request) -> Response:
        """List the caller's known devices. The one that signed in last comes first.

        A device is known by the `deviceToken` that a sign-in gave it. One that does not sign in for a
        year, or beyond the latest hundred, is forgotten.
        """
        page = page_of(known_devices.of_user(self.caller), **self.queried(PageQuery))
        calling = calling_session(request).known_device_id
        found = [known_device_object(device, current=device.pk == calling) for device in page.rows]
        return self.done(_("Your devices."), found, pagination=page.pagination)


class KnownDeviceView(ApiView):
    """One known device of the caller."""

    @documented("remove_known_device", fails_with=[NoSuchDevice])
    def delete(self, request: Request, *, id: UUID) -> Response:  # noqa: A002 - its name in the path
        """Forget one of the caller's devices. Its sessions go on; its next sign-in is that of an unknown device."""
        self.validated(Input)
        known_devices.remove(user=self.caller, device_id=id, origin=origin_of(request))
        return self.done(_("The device was removed."))
