"""Secrets at rest, and the keys behind them."""

import hashlib
import secrets
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.models import User
from authsvc import crypto
from authsvc.crypto import KeyUnavailable, Tampered
from authsvc.tokens.models import Session
from tests.cast import Api
from tests.ledger import stored

PLAIN = b"the token of a link"
ROW = "mail:1"
OLD, NEW, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))


class TestSealing:
    """AES-256-GCM, bound to one place."""

    def test_what_was_sealed_opens_in_its_place(self) -> None:
        assert crypto.unseal(crypto.seal(PLAIN, context=ROW), context=ROW) == PLAIN

    @given(st.binary(max_size=200), st.text(st.characters(codec="utf-8"), max_size=40))
    def test_any_bytes_can_be_sealed_for_any_place(self, plain: bytes, context: str) -> None:
        assert crypto.unseal(crypto.seal(plain, context=context), context=context) == plain

    def test_two_seals_of_one_secret_differ_and_show_nothing_of_it(self) -> None:
        one, other = (crypto.seal(PLAIN, context=ROW) for _ in range(2))

        assert one != other
        assert one[:4] == other[:4] == crypto.current_key_id()
        assert one[4:16] != other[4:16]
        assert PLAIN not in one
        assert len(one) == 4 + 12 + len(PLAIN) + 16

    @pytest.mark.parametrize("elsewhere", ["mail:2", "mail:1 ", "MAIL:1", "", "signing-key:1"])
    def test_it_opens_nowhere_else(self, elsewhere: str) -> None:
        sealed = crypto.seal(PLAIN, context=ROW)

        with pytest.raises(Tampered):
            crypto.unseal(sealed, context=elsewhere)

    def test_no_bit_can_be_changed(self) -> None:
        sealed = crypto.seal(PLAIN, context=ROW)

        for place in range(len(sealed)):
            changed = bytearray(sealed)
            changed[place] ^= 1
            with pytest.raises(KeyUnavailable if place < 4 else Tampered):
                crypto.unseal(bytes(changed), context=ROW)

    def test_nothing_can_be_cut_off_or_added(self) -> None:
        sealed = crypto.seal(PLAIN, context=ROW)

        for other in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed[:4] + sealed]:
            with pytest.raises(Tampered):
                crypto.unseal(other, context=ROW)


class TestRotation:
    """The first key makes, any listed one opens."""

    def test_a_new_key_in_front_makes_and_the_old_one_still_opens(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OLD,)
        before = crypto.seal(PLAIN, context=ROW)
        settings.ENCRYPTION_KEYS = (NEW, OLD)

        after = crypto.seal(PLAIN, context=ROW)

        assert (before[:4], after[:4]) == (hashlib.sha256(OLD).digest()[:4], hashlib.sha256(NEW).digest()[:4])
        assert crypto.unseal(before, context=ROW) == crypto.unseal(after, context=ROW) == PLAIN

    def test_a_key_appended_first_opens_what_others_make_with_it_already(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (NEW, OLD)
        elsewhere = crypto.seal(PLAIN, context=ROW)
        settings.ENCRYPTION_KEYS = (OLD, NEW)

        assert crypto.unseal(elsewhere, context=ROW) == PLAIN
        assert crypto.seal(PLAIN, context=ROW)[:4] == crypto.current_key_id() == crypto.known_key_ids()[0]

    def test_a_key_that_is_not_listed_is_unavailable(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OLD,)
        sealed = crypto.seal(PLAIN, context=ROW)
        settings.ENCRYPTION_KEYS = (NEW, OTHER)

        with pytest.raises(KeyUnavailable):
            crypto.unseal(sealed, context=ROW)
        with pytest.raises(KeyUnavailable):
            crypto.derive("seal", hashlib.sha256(OLD).digest()[:4])

    def test_every_purpose_and_every_key_gives_another_key(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS = (OLD, NEW)
        purposes = ["seal", "refresh tag", "refresh successor"]

        derived = [crypto.derive(purpose, key_id) for purpose in purposes for key_id in crypto.known_key_ids()]

        assert {len(key) for key in derived} == {32}
        assert len({*derived, OLD, NEW}) == 8
        assert derived[0] == crypto.derive("seal", crypto.current_key_id())


class TestSecrets:
    """Making and spelling them."""

    def test_a_token_has_256_bits_and_never_comes_twice(self) -> None:
        tokens = {crypto.new_token() for _ in range(1000)}

        assert len(tokens) == 1000
        assert {len(crypto.b64decode(token)) for token in tokens} == {32}

    def test_a_digest_is_sha256_of_text_or_bytes(self) -> None:
        assert crypto.sha256("abc") == crypto.sha256(b"abc") == hashlib.sha256(b"abc").digest()

    @given(st.binary(max_size=100))
    def test_bytes_have_one_spelling(self, data: bytes) -> None:
        text = crypto.b64encode(data)

        assert crypto.b64decode(text) == data
        assert "=" not in text

    @pytest.mark.parametrize(
        "text", ["A", "AA==", "AB", "AAA=", "A A", "AA\n", "+/8", "_-8=", "\u00e4A", "AA.A", "\ud800A", "A" * 5]
    )
    def test_no_other_spelling_is_taken(self, text: str) -> None:
        with pytest.raises(ValueError, match="base64url"):
            crypto.b64decode(text)


@pytest.mark.django_db
@pytest.mark.both_databases
class TestRollOut:
    """A node that lacks the key of a row sends the client to another node, and ends nothing."""

    def test_a_session_made_with_a_key_of_others_is_unavailable_for_a_second(
        self, api: Api, alice: User, settings: Settings
    ) -> None:
        ours = settings.ENCRYPTION_KEYS
        settings.ENCRYPTION_KEYS = (secrets.token_bytes(32), *ours)
        token = api.login(alice.email).data["refreshToken"]
        settings.ENCRYPTION_KEYS = ours
        before = stored()

        answer = api.refresh(token)

        assert (answer.status, answer.codes) == (HTTPStatus.SERVICE_UNAVAILABLE, ["unavailable"])
        assert answer.headers["Retry-After"] == "1"
        assert stored() == before

    def test_a_node_that_has_the_key_goes_on_with_it(self, api: Api, alice: User, settings: Settings) -> None:
        ours, new = settings.ENCRYPTION_KEYS, secrets.token_bytes(32)
        settings.ENCRYPTION_KEYS = (new, *ours)
        token = api.login(alice.email).data["refreshToken"]
        settings.ENCRYPTION_KEYS = (*ours, new)

        assert api.refresh(token).status == HTTPStatus.OK
        assert bytes(Session.objects.get().refresh_key_id) == crypto.current_key_id()

    def test_nobody_s_token_is_merely_wrong(self, api: Api, alice: User, settings: Settings) -> None:
        token = api.login(alice.email).data["refreshToken"]
        Session.objects.all().delete()
        settings.ENCRYPTION_KEYS = (secrets.token_bytes(32),)

        answer = api.refresh(token)

        assert (answer.status, answer.codes) == (HTTPStatus.UNAUTHORIZED, ["invalid_token"])
