"""The key ring."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SigningKey(models.Model):
    """A key that signs access tokens. `kid` is its RFC 7638 thumbprint; the private part is sealed."""

    class State(models.TextChoices):
        """Where a key is in its life: published, signing, or only verifying what it signed."""

        NEXT = "next", _("next")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")

    kid = models.CharField(primary_key=True, max_length=43)
    algorithm = models.CharField(_("algorithm"), max_length=10)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    public_jwk: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(_("public key"))
    sealed_private = models.BinaryField()
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    activated_at = models.DateTimeField(_("activated at"), null=True)
    retired_at = models.DateTimeField(_("retired at"), null=True)
    verifies_until = models.DateTimeField(_("verifies until"), null=True)

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="active"), name="one_active_key"),
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="next"), name="one_next_key"),
        ]

    def __str__(self) -> str:
        return self.kid
