"""A running service, a real browser, and what it saw when a test failed."""

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.service import FRONT_END, ROOT, Embedded, Person

SHOTS = ROOT / "var" / "e2e"
WAIT_MILLISECONDS = 10_000
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed, for the fixture that takes the picture."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    shutil.rmtree(SHOTS, ignore_errors=True)
    running = Embedded(tmp_path_factory.mktemp("embedded"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def behind_front_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Another service, whose mails link to the pages of a front end."""
    running = Embedded(tmp_path_factory.mktemp("behind_front_end"), FRONTEND_URL=FRONT_END)
    yield running
    running.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, named by `make e2e`. It wants no sandbox only where it is run by root."""
    program = os.environ.get("E2E_BROWSER") or shutil.which("chromium")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=["--disable-background-networking", *options]
        )
        yield started
        started.close()


@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest) -> str:
    """What the reader speaks."""
    return str(request.param)


@pytest.fixture
def context(
    browser: Browser, service: Embedded, language: str, request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    """A fresh browser of somebody who speaks that language; `pictures` of a failure go to `var/e2e`."""
    opened = browser.new_context(base_url=service.url, locale=language, viewport={"width": 390, "height": 800})
    opened.set_default_timeout(WAIT_MILLISECONDS)
    yield opened
    if request.node.stash.get(FAILED, True):
        SHOTS.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(opened.pages):
            page.screenshot(path=_picture(request.node.name, number), full_page=True)
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def ada(service: Embedded, language: str) -> Person:
    """A person with a verified account."""
    return Person(service, language).enrolled()


def _picture(test: str, number: int) -> Path:
    return SHOTS / f"{re.sub(r'[^a-z0-9_]+', '-', test)}{number}.png"
