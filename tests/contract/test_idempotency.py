"""Which operations take an `Idempotency-Key`, as their document says."""

from tests.api_document import operations, resolved

TAKE_A_KEY = {
    ("/api/v1/auth/register", "POST"),
    ("/api/v1/auth/password/forgot", "POST"),
    ("/api/v1/users/me/email", "POST"),
    ("/api/v1/users/me", "DELETE"),
}


def test_exactly_these_operations_take_a_key() -> None:
    found = {
        (path, method)
        for path, method, operation in operations()
        if any(resolved(parameter)["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }

    assert found == TAKE_A_KEY


def test_they_say_what_becomes_of_a_twin_and_of_another_body() -> None:
    for path, method, operation in operations():
        if (path, method) in TAKE_A_KEY:
            assert "`idempotency_in_progress`" in operation["responses"]["409"]["description"]
            assert "`idempotency_mismatch`" in operation["responses"]["422"]["description"]
            (header,) = [parameter for parameter in operation["parameters"] if parameter["in"] == "header"]
            assert header["schema"] == {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[\\x20-\\x7e]+$",
            }
            assert header.get("required", False) is False
