"""The API reference as pages."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.page_rules import faults

PAGES = {"/api/v1/docs": "authsvc/swagger-init.js", "/api/v1/redoc": "authsvc/redoc-init.js"}


@pytest.mark.parametrize("path", PAGES)
def test_the_page_loads_the_openapi_document_of_this_service(client: Client, path: str) -> None:
    answer = client.get(path)

    page = answer.content.decode()
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'data-schema="/api/v1/schema"' in page
    assert f'src="/static/{PAGES[path]}"' in page
    assert faults(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_asset_of_the_page_is_served_here(client: Client, path: str) -> None:
    assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(path).content.decode())

    statuses = {}
    for asset in set(assets):
        answer = client.get(asset)
        assert len(answer.getvalue()) > 100
        statuses[asset] = answer.status_code

    assert len(statuses) >= 4
    assert set(statuses.values()) == {HTTPStatus.OK}


@pytest.mark.parametrize("path", PAGES)
def test_the_page_may_run_own_scripts_alone_and_speak_to_nobody_else(client: Client, path: str) -> None:
    policy = dict(
        directive.split(" ", 1) for directive in client.get(path).headers["Content-Security-Policy"].split("; ")
    )

    assert policy == {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "worker-src": "'self' blob:",
        "connect-src": "'self'",
        "object-src": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


@pytest.mark.parametrize("path", PAGES)
def test_another_method_is_refused_in_the_envelope(client: Client, path: str) -> None:
    answer = client.post(path)

    assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert answer.headers["Allow"] == "GET, HEAD"
    assert [problem["code"] for problem in answer.json()["errors"]] == ["method_not_allowed"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_the_page_speaks_the_language_of_its_reader(client: Client, path: str, language: str) -> None:
    page = client.get(path, headers={"Accept-Language": language}).content.decode()

    assert f'<html lang="{language}"' in page


def test_no_file_of_our_pages_names_another_server() -> None:
    folder = finders.find("authsvc/pages.css")
    assert folder is not None
    files = {file.name: file.read_text(encoding="utf-8") for file in Path(folder).parent.iterdir()}

    named = {
        (name, url)
        for name, text in files.items()
        for url in re.findall(r"https?://[^\s\"')]+", text)
        if url != "http://www.w3.org/2000/svg"  # the name of a format; nothing is loaded from it
    }

    assert {"links.js", "swagger-init.js", "redoc-init.js", "pages.css", "logo.svg"} <= files.keys()
    assert named == set()
    assert "validatorUrl: null" in files["swagger-init.js"]
