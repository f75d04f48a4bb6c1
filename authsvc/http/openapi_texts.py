"""The words of the OpenAPI document: groups, descriptions, and an example of everything."""

from collections.abc import Mapping
from typing import Any

from authsvc.http.openapi_types import Schema

DESCRIPTION = """\
Registration, sign-in and sessions, as a service of your own.

* Bodies are JSON (UTF-8, at most 64 KiB). Unknown fields and keys given twice are refused.
* Every answer has one envelope; an error has at least one entry in `errors`. Branch on its `code`: codes never
  change and are never translated, while `message` follows `Accept-Language` (en, de, es, fr).
* Every request has an id, in `meta.requestId` and the header `X-Request-ID`; a well-formed `X-Request-ID` of
  yours is kept.
* Times are ISO 8601 in UTC, ids are UUIDs.
* Sign in, then send `Authorization: Bearer <accessToken>`. Access tokens are JWTs (RFC 9068) that any service
  can verify with the keys of `/.well-known/jwks.json`.
"""

TAGS = [
    {"name": "registration", "description": "From a stranger to a verified account."},
    {"name": "sessions", "description": "Signing in, going on, signing out."},
    {"name": "account", "description": "The signed-in user."},
    {"name": "machines", "description": "What service clients ask and do; a success has no envelope."},
    {"name": "standards", "description": "Documents that other standards define; no envelope."},
    {"name": "health", "description": "Probes for whoever runs the service; no envelope."},
]
TAG_OF_PREFIX = {
    "/api/v1/auth/register": "registration",
    "/api/v1/auth/verify-email": "registration",
    "/api/v1/auth/introspect": "machines",
    "/api/v1/auth/revoke": "machines",
    "/api/v1/auth/email": "account",
    "/api/v1/auth/restore": "account",
    "/api/v1/auth/": "sessions",
    "/api/v1/users/me/devices": "sessions",
    "/api/v1/users/me/sessions": "sessions",
    "/api/v1/users/": "account",
}

ENUMERATIONS = {
    "by": "Doer",
    "code": "ErrorCode",
    "database": "CheckResult",
    "emailQueue": "CheckResult",
    "locale": "Locale",
    "redis": "CheckResult",
    "policy": "PolicyName",
    "role": "Role",
    "status": "ReadinessStatus",
    "tokenType": "TokenType",
    "token_type": "PresentedTokenType",
    "type": "DeviceType",
}

ID = "019a3c5e-7b5d-7c3e-9a51-6f1d2c3b4a59"
WHEN = "2026-11-24T09:30:00.123456Z"

# By property, or by component and property where a name means two things.
EXAMPLES: Mapping[str, Any] = {
    "PolicyName": "strict",
    "minLength": 12,
    "maxLength": 128,
    "requiredClasses": ["upper", "lower", "digit", "special"],
    "compositionUpTo": None,
    "specialCharacters": "!@#$%^&*()_+-=[]{}|;:,.<>?",
    "maxRepetition": 3,
    "blocklist": True,
    "similarity": True,
    "breachCheck": False,
    "accessToken": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjAxOWEifQ.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl",
    "action": "account.signin.succeeded",
    "address": "ada@example.org",
    "amr": ["pwd"],
    "authenticatedAt": WHEN,
    "by": "you",
    "dueAt": "2026-12-24T09:30:00.123456Z",
    "endReason": "",
    "endedAt": None,
    "exportedAt": WHEN,
    "hasPassword": True,
    "isActive": True,
    "kind": "new_device",
    "language": "en",
    "metadata": {"amr": "pwd"},
    "outcome": "success",
    "purpose": "not_me",
    "recipient": "ada@example.org",
    "refreshedAt": WHEN,
    "requestedAt": WHEN,
    "resource": "session:019a3c5e-7b5d-7c3e-9a51-2b3c4d5e6f70",
    "sentAt": WHEN,
    "sessionId": "019a3c5e-7b5d-7c3e-9a51-2b3c4d5e6f70",
    "state": "sent",
    "updatedAt": WHEN,
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "verifiedAt": WHEN,
    "ExportedProfile.locale": "en",
    "ExportedProfile.role": "user",
    "ExportedDevice.name": "Ada's laptop",
    "Export.erasure": None,
    "ExportedTotals.activity": 12,
    "ExportedTotals.devices": 1,
    "ExportedTotals.links": 1,
    "ExportedTotals.mails": 2,
    "ExportedTotals.sessions": 1,
    "browser": "Firefox",
    "createdAt": WHEN,
    "current": True,
    "deviceName": "Ada's laptop",
    "MagicLinkVerifyInput.code": "1234 5678",
    "Device.name": "Ada's laptop",
    "deviceToken": "AZo8Xnt9fD6aUW8dLDtKWfbVo1kXw0uJtq2mS8yR7hN4cLzB6eGpQd3iTxKaUv9E",
    "KnownDevice.name": "Ada's laptop",
    "lastSeenAt": WHEN,
    "trustedUntil": None,
    "email": "ada@example.org",
    "expiresAt": "2026-12-01T09:30:00.123456Z",
    "expiresIn": 868,
    "field": "email",
    "Idempotency-Key": "5f1c2f0e-4a7e-4c57-9d1b-7c1c9f0a2b3d",
    "id": ID,
    "ip": "192.0.2.10",
    "isVerified": True,
    "ordering": "-lastActivity",
    "search": "laptop",
    "limit": 20,
    "page": 1,
    "reauthenticatedUntil": "2026-11-24T09:40:00.123456Z",
    "total": 1,
    "totalPages": 1,
    "lastActivity": WHEN,
    "lastLoginAt": WHEN,
    "message": "Done.",
    "Problem.message": "This is required.",
    "Error.message": "This is required.",
    "mfaEnabled": False,
    "name": "Ada Lovelace",
    "newEmail": "ada.king@example.org",
    "os": "Linux",
    "password": "correct-Horse-7-battery",
    "currentPassword": "correct-Horse-7-battery",
    "newPassword": "another-Horse-8-stapler",
    "refreshExpiresIn": 604800,
    "refreshToken": "AZo8Xnt9fD6aUW8dLDtKWQAAAAB2-1oC7kq9XGg5mY3tJr0PzVvN4wQeHsLbUcRd8fKiT6aMnyp1q2r3s4t5u6v7",
    "requestId": "019a3c5e-7b5d-7c3e-9a51-0a1b2c3d4e5f",
    "statusCode": 400,
    "success": True,
    "Error.success": False,
    "timestamp": WHEN,
    "token": "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA",
    "acr": "aal1",
    "active": True,
    "aud": "https://auth.example.org",
    "auth_time": 1795512600,
    "client_id": "authsvc",
    "exp": 1795513500,
    "iat": 1795512600,
    "iss": "https://auth.example.org",
    "jti": "019a3c5e-7b5d-7c3e-9a51-1a2b3c4d5e6f",
    "sid": "019a3c5e-7b5d-7c3e-9a51-2b3c4d5e6f70",
    "sub": ID,
    "token_type_hint": "refresh_token",
    "PresentedTokenType": "Bearer",
    "alg": "ES256",
    "crv": "P-256",
    "kid": "bnwFyYKSZCZqIPiNjSMMGpkfHZ5pZfHkUQBZmJ7dTZo",
    "kty": "EC",
    "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "Liveness.status": "ok",
    "VerifyEmailInput": {"token": "q3xk0JQnJpmJ2d0Yl7yN0m1sZc8n5vXw4bT6uR9eKfA"},
    "CheckResult": "ok",
    "ErrorCode": "required",
    "Locale": "en",
    "ReadinessStatus": "ready",
    "Role": "user",
    "TokenType": "Bearer",
    "DeviceType": "desktop",
    "Doer": "you",
}

DESCRIPTIONS: Mapping[str, str] = {
    "policy": "The setting `PASSWORD_POLICY`.",
    "minLength": "Code points that a password has at least, after normalisation to NFC.",
    "maxLength": "Code points that a password has at most.",
    "requiredClasses": "Of each of these a password needs one character: a capital or small letter, a digit (Unicode "
    "categories Lu, Ll, Nd), one of `specialCharacters`.",
    "compositionUpTo": "Longer passwords need no character of `requiredClasses`; null where all do.",
    "specialCharacters": "The characters that count as special; any other is allowed and counts as none.",
    "maxRepetition": "How many equal characters may stand in a row; null where there is no such rule.",
    "blocklist": "Whether common words, dates and patterns are refused where they make up the password.",
    "similarity": "Whether passwords are refused that hardly consist of more than name or address.",
    "breachCheck": "Whether passwords are refused that were in a known breach.",
    "accessToken": "JWT (RFC 9068) for the `Authorization` header.",
    "by": "Who did it: the person, staff, or somebody who was not signed in (the service itself included).",
    "dueAt": "When the account is erased.",
    "endReason": "Why the session is over; empty while it is not.",
    "hasPassword": "Whether the account has a password that signs in.",
    "kind": "Which mail it was.",
    "metadata": "Details, by name.",
    "purpose": "What the link is good for.",
    "resource": "What else was concerned, as `kind:id`.",
    "amr": "How the person proved who they are (RFC 8176).",
    "code": "What a client may branch on.",
    "current": "Whether this is the session of the call.",
    "deviceName": "What the owner calls this device; made from the user agent where it is missing.",
    "deviceToken": (
        "Marks this device as known. A sign-in without a valid one gives a new one: keep it, send it at each sign-in."
    ),
    "KnownDevice.current": "Whether the call comes from a session that was started on this device.",
    "KnownDevice.name": "What its owner calls it, or else its browser and system.",
    "lastSeenAt": "When somebody last signed in on it.",
    "trustedUntil": "Until when no second factor is asked on it; null where one always is.",
    "expiresIn": "Life of the access token, in seconds.",
    "field": "Where the problem is, as a dotted path; null where it is in no single field.",
    "isVerified": "Whether the address was proved.",
    "lastActivity": "When the session was last used, to about a minute.",
    "lastLoginAt": "When the person last signed in; null before the first time.",
    "limit": "How many entries a page has at most.",
    "locale": "Language of mails.",
    "message": "For people, in their language.",
    "page": "Which page this is; the first is 1.",
    "reauthenticatedUntil": "From then on, whatever takes a fresh proof asks for a new one.",
    "currentPassword": "The password that counts until now.",
    "newPassword": "The password that is to count; `/auth/password/policy` says what it must be.",
    "refreshExpiresIn": "Life of the refresh token, in seconds.",
    "refreshToken": "Opaque; works once. Each refresh returns its successor.",
    "requestId": "The same as the header `X-Request-ID`.",
    "token": "The token of the mailed link.",
    "MagicLinkVerifyInput.code": "The eight digits of the mail, together with `email`; a space in the middle is taken.",
    "MagicLinkVerifyInput.email": "The address that the mail went to, together with `code`.",
    "MagicLinkVerifyInput.token": "The token of the mailed link, in place of `email` and `code`.",
    "TokenForm.token": "An access token or a refresh token.",
    "total": "How many entries the whole list has.",
    "totalPages": "How many pages that makes.",
    "token_type_hint": "`access_token` or `refresh_token` (RFC 7009); nothing depends on it.",
}
PARAMETERS = {
    "Idempotency-Key": (
        "A name that you give to this request. Whoever sends the same again within 24 hours is answered as the first "
        "time, and nothing is done twice."
    ),
    "id": "The id of the entry; of somebody else's, as of none, it is 404.",
    "limit": DESCRIPTIONS["limit"],
    "ordering": "By which time, newest first where a minus stands before it.",
    "search": "Part of a name or user agent.",
    "page": "Which page is wanted; one that the list does not have is 400 `out_of_range`.",
    "token": DESCRIPTIONS["token"],
}


def give_examples(name: str, schema: Schema) -> None:
    """Put an example, and a description where there is one, on every property of a component, or on itself."""
    if name in EXAMPLES:
        schema["examples"] = [EXAMPLES[name]]
    for key, inner in schema.get("properties", {}).items():
        description = DESCRIPTIONS.get(f"{name}.{key}", DESCRIPTIONS.get(key))
        if description:
            inner.setdefault("description", description)
        if "$ref" in inner or "$ref" in inner.get("items", {}) or "examples" in inner:
            continue
        inner["examples"] = [None] if inner.get("type") == "null" else [_example(name, key)]


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """Return an example that fits a schema, made from those of its properties."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [example_of(schema["items"], schemas)]
    return {key: example_of(inner, schemas) for key, inner in schema["properties"].items()}


def _example(name: str, key: str) -> Any:
    return EXAMPLES[f"{name}.{key}"] if f"{name}.{key}" in EXAMPLES else EXAMPLES[key]
