"""Where a request comes from: resolved once, here, for counters, sessions and the audit log alike."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from audit.origin import Origin

USER_AGENT_MAX_LENGTH = 400


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's address.

    `X-Forwarded-For` counts only behind `TRUSTED_PROXIES` hops, and then only the entry that the
    outermost of them wrote. An entry that is no address falls back to the peer's, so that garbage
    never names a client of its own.
    """
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    if settings.TRUSTED_PROXIES == 0:
        return peer
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if len(hops) < settings.TRUSTED_PROXIES:
        return peer
    return _address(hops[-settings.TRUSTED_PROXIES].strip()) or peer


def is_secure(request: HttpRequest) -> bool:
    """Tell whether the client speaks TLS, to us or to a trusted proxy in front."""
    if settings.TRUSTED_PROXIES:
        return str(request.META.get("HTTP_X_FORWARDED_PROTO", "")).rpartition(",")[2].strip() == "https"
    return request.scheme == "https"


def origin_of(request: HttpRequest) -> Origin:
    """Return who calls from where; the actor is the signed-in user, where there is one."""
    user = getattr(request, "user", None)
    return Origin(
        ip=client_ip(request),
        user_agent=printable(request.META.get("HTTP_USER_AGENT", ""))[:USER_AGENT_MAX_LENGTH],
        request_id=getattr(request, "request_id", ""),
        actor_id=getattr(user, "audit_key", None),
    )


def printable(text: str) -> str:
    """Return a header's text without control characters; what is no UTF-8 becomes replacement marks."""
    decoded = text.encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(character for character in decoded if character.isprintable())


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if address.scope_id is not None:
            return str(ipaddress.IPv6Address(int(address)))
    return str(address)
