"""The rules for new passwords, for front ends."""

from typing import cast

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.serializers import CharacterClassName, PasswordPolicyObject, PolicyName
from accounts.services import password_rules
from authsvc.http.openapi import documented
from authsvc.http.views import ApiView


class PasswordPolicyView(ApiView):
    """Says what a new password has to be like."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented("password_policy", gives=PasswordPolicyObject)
    def get(self, _request: Request) -> Response:
        """Return the rules that every new password is held to.

        A form can check lengths, classes and repetition while somebody types. The rest only the
        server knows; its answer names every broken rule by a code that begins with `password_`.
        """
        rules = password_rules.rules_in_force()
        policy: PasswordPolicyObject = {
            "policy": cast("PolicyName", rules.policy),
            "minLength": rules.min_length,
            "maxLength": rules.max_length,
            "requiredClasses": cast("list[CharacterClassName]", rules.required_classes),
            "compositionUpTo": rules.composition_up_to,
            "specialCharacters": rules.special_characters,
            "maxRepetition": rules.max_repetition,
            "blocklist": rules.blocklist,
            "similarity": rules.similarity,
            "breachCheck": rules.breach_check,
        }
        return self.done(_("The rules for passwords."), policy)
