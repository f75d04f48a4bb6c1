"""The committed OpenAPI document, and whether an answer is what it promises."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.urls import URLPattern, URLResolver
from jsonschema_rs import Draft202012Validator

from tests.cast import Answer

COMMITTED = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"
METHODS = ("get", "post", "patch", "put", "delete")


@cache
def document() -> Any:
    """The document as data. Nobody changes it."""
    return parsed(COMMITTED.read_text(encoding="utf-8"))


def parsed(text: str | bytes) -> Any:
    """What a text in YAML says, read by libyaml: in Python alone a document of this size takes a second."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def operations() -> Iterator[tuple[str, str, Any]]:
    """Path, method and operation object of everything in it."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def resolved(node: Any) -> Any:
    """What a reference leads to."""
    while "$ref" in node:
        target = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def misfits(schema: Any, value: object) -> list[str]:
    """What is wrong with a value, by a schema that refers to a component."""
    whole = {**schema, "components": document()["components"]}
    validator = Draft202012Validator(whole, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def broken_promises(path: str, method: str, answer: Answer) -> list[str]:
    """What of an answer is not as the document says."""
    operation = document()["paths"][path][method.lower()]
    response = resolved(operation["responses"][str(int(answer.status))])
    missing = [f"header {name}" for name in response["headers"] if name not in answer.headers]
    return missing + misfits(response["content"]["application/json"]["schema"], answer.body)


def routes(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route of a URL map with its view, as paths without a leading slash, parameters as the document has them."""
    for pattern in patterns:
        place = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, place)
        else:
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", place), pattern.callback
