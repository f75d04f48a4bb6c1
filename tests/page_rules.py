"""What every page must keep to, so that a strict content security policy breaks none of them."""

from html.parser import HTMLParser

URL_ATTRIBUTES = {"src", "href", "action", "formaction", "data", "poster", "srcset"}


def faults(html: str) -> list[str]:
    """Return what breaks the rules: inline scripts and styles, handlers in attributes, URLs of other servers."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.faults


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in named):
            self.faults.append(f"inline {tag}")
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.faults.append(f"{tag} has {name}")
            if name in URL_ATTRIBUTES and not _is_own(value or ""):
                self.faults.append(f"{tag} points to {value}")


def _is_own(url: str) -> bool:
    return url.startswith("#") or (url.startswith("/") and not url.startswith("//"))
