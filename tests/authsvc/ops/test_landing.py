"""The page at the root."""

from http import HTTPStatus

import pytest
from django.test import Client
from pytest_django import Settings

from tests.page_rules import faults


def test_the_page_says_how_to_start_and_where_things_are(client: Client, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://auth.example.com"

    answer = client.get("/")

    page = answer.content.decode()
    assert answer.status_code == HTTPStatus.OK
    assert page.count("curl https://auth.example.com/api/v1/") == 3
    for path in ("/api/v1/docs", "/api/v1/redoc", "/api/v1/schema", "/.well-known/jwks.json", "/readyz"):
        assert f'href="{path}"' in page


@pytest.mark.parametrize("is_open", [True, False])
def test_the_page_names_mailbox_and_admin_only_where_they_are_open(
    client: Client,
    settings: Settings,
    *,
    is_open: bool,
) -> None:
    settings.EMBEDDED = settings.ADMIN_OPEN = is_open

    page = client.get("/").content.decode()

    assert ('href="/mailbox"' in page) is is_open
    assert ('href="/admin/"' in page) is is_open


def test_the_page_needs_no_inline_code_and_no_other_server(client: Client) -> None:
    answer = client.get("/")

    policy = answer.headers["Content-Security-Policy"]
    assert faults(answer.content.decode()) == []
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_the_page_speaks_the_language_of_its_reader(client: Client, language: str) -> None:
    answer = client.get("/", headers={"Accept-Language": f"{language}, en;q=0.5"})

    page = answer.content.decode()
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}"' in page
    assert ("Start in three calls" in page) is (language == "en")


def test_an_unknown_language_gives_english(client: Client) -> None:
    answer = client.get("/", headers={"Accept-Language": "tlh"})

    assert '<html lang="en"' in answer.content.decode()


def test_the_page_only_answers_reading(client: Client) -> None:
    assert client.head("/").status_code == HTTPStatus.OK
    assert client.put("/").status_code != HTTPStatus.OK
