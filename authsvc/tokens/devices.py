"""What a user agent tells about a device."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import ua_parser

Kind = Literal["desktop", "mobile", "tablet", "bot", "unknown"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its owner would recognise it."""

    name: str
    type: Kind
    os: str
    browser: str


def describe(*, user_agent: str, device_name: str) -> Device:
    """Return the device, under the name that its owner gave it or else one made from its parts."""
    kind, system, browser = _parse(user_agent)
    made_up = " · ".join(part for part in (browser, system) if part)
    return Device(name=device_name or made_up, type=kind, os=system, browser=browser)


@lru_cache(maxsize=1024)
def _parse(user_agent: str) -> tuple[Kind, str, str]:
    result = ua_parser.parse(user_agent)
    system = result.os.family if result.os else ""
    browser = result.user_agent.family if result.user_agent else ""
    return _kind(user_agent, result.device.family if result.device else ""), system, browser


def _kind(user_agent: str, family: str) -> Kind:
    if family == "Spider":
        return "bot"
    if "iPad" in user_agent or "Tablet" in user_agent:
        return "tablet"
    if "Mobi" in user_agent or "iPhone" in user_agent:
        return "mobile"
    if any(system in user_agent for system in ("Windows NT", "Macintosh", "X11", "CrOS")):
        return "desktop"
    return "unknown"
