"""People, and every flow they go through."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The app that owns `AUTH_USER_MODEL`."""

    name = "accounts"
    label = "accounts"
