"""The main job, over HTTP alone: from a stranger to a signed-in user, and out again."""

from http import HTTPStatus

import pytest

from tests.cast import PASSWORD, V1, Api, post_round

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_stranger_registers_verifies_signs_in_goes_on_and_signs_out(api: Api) -> None:
    registered = api.register("ada@example.org")
    assert registered.status == HTTPStatus.CREATED
    assert registered.data["isVerified"] is False
    assert api.login("ada@example.org").codes == ["invalid_credentials"]

    verified = api.verify(post_round()[0].token)
    assert verified.status == HTTPStatus.OK
    assert verified.data == {**registered.data, "isVerified": True}

    signed_in = api.login("ada@example.org", PASSWORD, deviceName="Ada's laptop").data
    assert signed_in["session"]["device"]["name"] == "Ada's laptop"
    assert api.me(signed_in["accessToken"]).data["id"] == registered.data["id"]

    refreshed = api.refresh(signed_in["refreshToken"]).data
    assert refreshed["refreshToken"] != signed_in["refreshToken"]
    assert refreshed["session"]["id"] == signed_in["session"]["id"]

    signed_out = api.post(f"{V1}/auth/logout", token=refreshed["accessToken"])
    assert (signed_out.status, signed_out.data) == (HTTPStatus.OK, None)
    for token in (signed_in["accessToken"], refreshed["accessToken"]):
        assert api.me(token).codes == ["invalid_token"]
    for token in (signed_in["refreshToken"], refreshed["refreshToken"]):
        assert api.refresh(token).codes == ["invalid_token"]
