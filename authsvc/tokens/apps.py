"""Sessions, tokens and the keys that sign them."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """The app that owns every credential but the password."""

    name = "authsvc.tokens"
    label = "tokens"
