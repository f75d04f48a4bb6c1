"""The mailbox as pages: embedded mode only, for a browser on the same machine."""

from collections.abc import Callable, Sequence
from functools import wraps
from ipaddress import IPv6Address, ip_address
from typing import Concatenate, ParamSpec
from uuid import UUID

import orjson
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.urls import URLPattern
from django.utils.cache import patch_vary_headers
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from authsvc.mail import mailbox
from authsvc.mail.mailbox import ArrivedMail
from authsvc.mail.previews import Previews, framed
from authsvc.mail.render import Sample

_HTML = "text/html"
_JSON = "application/json"
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1"})

_P = ParamSpec("_P")
_View = Callable[Concatenate[HttpRequest, _P], HttpResponse]


def _for_this_machine(view: _View[_P]) -> _View[_P]:
    """Hide a page from everybody but the machine's own browsers.

    The peer must be loopback, and the host name one that no foreign site can point here (DNS
    rebinding): live links lie in these mails.
    """

    @wraps(view)
    @require_safe
    def guarded(request: HttpRequest, /, *args: _P.args, **kwargs: _P.kwargs) -> HttpResponse:
        host, _port = split_domain_port(request.get_host())
        if not (settings.EMBEDDED and _is_loopback(request.META.get("REMOTE_ADDR", "")) and host in _LOCAL_HOSTS):
            raise Http404
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    return guarded


@_for_this_machine
def mailbox_list(request: HttpRequest) -> HttpResponse:
    """List the mails, newest first; with `Accept: application/json` as plain data for scripts."""
    if request.get_preferred_type([_HTML, _JSON]) == _JSON:
        entries = [_entry(mail) for mail in mailbox.mails()]
        response = HttpResponse(orjson.dumps(entries, option=orjson.OPT_UTC_Z), _JSON)
    else:
        response = render(request, "authsvc/mailbox.html", {"mails": mailbox.mails()})
    patch_vary_headers(response, ["Accept"])
    return response


@_for_this_machine
def mailbox_mail(request: HttpRequest, mail_id: UUID) -> HttpResponse:
    """Show one mail, its HTML in a frame of its own."""
    return render(request, "authsvc/mailbox_mail.html", {"mail": _mail(mail_id)})


@xframe_options_sameorigin
@_for_this_machine
def mailbox_body(_request: HttpRequest, mail_id: UUID) -> HttpResponse:
    """Answer with the HTML of one mail for the frame: sandboxed, scriptless, without a network."""
    return framed(_mail(mail_id).html)


def previews(samples: Sequence[Sample]) -> list[URLPattern]:
    """Return the routes that show every mail with sample data."""
    return Previews(samples, base="authsvc/base.html", name="mailbox-preview").urls(_for_this_machine)


def _mail(mail_id: UUID) -> ArrivedMail:
    mail = mailbox.mail(mail_id)
    if mail is None:
        raise Http404
    return mail


def _entry(mail: ArrivedMail) -> dict[str, object]:
    return {
        "id": mail.id,
        "to": mail.to,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "createdAt": mail.created_at,
    }


def _is_loopback(address: str) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return (mapped or peer).is_loopback
