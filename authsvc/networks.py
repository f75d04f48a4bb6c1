"""The network that an address counts for, where what counts is a household and not a single address."""

from ipaddress import ip_address, ip_network

_IPV6_PREFIX = 64  # what one subscriber gets


def network_of(ip: str | None) -> str | None:
    """Return the IPv4 address itself, or the /64 of an IPv6 one; nothing where there is no address."""
    if ip is None:
        return None
    address = ip_address(ip)
    if address.version == 4:  # noqa: PLR2004 - the protocol's own number
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
