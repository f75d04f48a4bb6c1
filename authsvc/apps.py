"""Proof and chassis: what sessions, tokens, mail and HTTP have in common."""

from django.apps import AppConfig


class AuthsvcConfig(AppConfig):
    """An app without models: templates, static files, catalogues, commands."""

    name = "authsvc"
    label = "authsvc"
