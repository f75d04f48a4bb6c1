"""The admin: who gets in, what its pages show, and what they refuse."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from importlib import import_module, reload
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.sites import AdminSite
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import clear_url_caches, reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.admin_site import StaffSite
from accounts.models import ErasureRequest, Role, User
from accounts.services import lifecycle
from audit.models import Event
from audit.origin import Origin
from authsvc import hashing, turns
from authsvc.mail.models import OutgoingMail
from authsvc.tokens.models import KnownDevice, ServiceClient, ServiceClientKey, Session, SigningKey

pytestmark = pytest.mark.django_db

PASSWORD = "Tall-harbour-41-lanterns"
SIGN_IN = "/admin/login/"
USERS = "/admin/accounts/user/"
HASH_MARK = b"refresh-hash-of-a-session-32byte"
SALT_MARK = b"refresh-salt-16b"
SEALED_MARK = b"sealed-private-part-of-a-key"
SEALED_MAIL_MARK = b"sealed-context-of-a-mail"
SHARED_MARK = b"sealed-secret-that-a-service-has"
DEVICE_MARK = b"digest-of-the-token-of-a-device!"


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hashing.make(PASSWORD)


@pytest.fixture
def person(password_hash: str) -> Callable[..., User]:
    def make(email: str, **values: Any) -> User:
        user = User.objects.create_user(email=email, name=values.pop("name", "Somebody"), password_hash=password_hash)
        for field, value in {"verified_at": timezone.now(), **values}.items():
            setattr(user, field, value)
        user.save()
        return user

    return make


@pytest.fixture
def staff(person: Callable[..., User]) -> User:
    return person("staff@example.com", name="Staff", role=Role.ADMIN)


@pytest.fixture
def staff_client(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


@pytest.fixture
def one_of_each(staff: User) -> dict[type[Model], Model]:
    """A row of everything that has a page."""
    now = timezone.now()
    session = Session.objects.create(
        user=staff,
        stamp=staff.stamp,
        ip="203.0.113.7",
        authenticated_at=now,
        last_activity_at=now,
        refreshed_at=now,
        refresh_salt=SALT_MARK,
        refresh_hash=HASH_MARK,
        refresh_key_id=b"key1",
    )
    key = SigningKey.objects.create(
        kid="k" * 43, algorithm="ES256", public_jwk={"kty": "EC"}, sealed_private=SEALED_MARK
    )
    event = Event.objects.create(action="account.signin.succeeded", outcome="success")
    mail = OutgoingMail.objects.create(
        template="accounts/email/verify_email",
        recipient="staff@example.com",
        language="en",
        dedupe_key=str(uuid4()),
        sealed=SEALED_MAIL_MARK,
    )
    service = ServiceClient.objects.create(name="billing")
    service_key = ServiceClientKey.objects.create(
        client=service, slot=1, algorithm="hmac-sha256", sealed_secret=SHARED_MARK
    )
    device = KnownDevice.objects.create(user=staff, digest=DEVICE_MARK, name="Laptop")
    return {type(row): row for row in (staff, session, key, event, mail, service, service_key, device)}


def sign_in(client: Client, *, email: str = "staff@example.com", password: str = PASSWORD) -> Any:
    return client.post(SIGN_IN, {"username": email, "password": password, "next": "/admin/"})


def row(user: User) -> dict[str, Any]:
    return {**User.objects.values().get(pk=user.pk)}


def last_event() -> tuple[Any, ...]:
    event = Event.objects.order_by("-created_at", "-id")[0]
    return event.action, event.outcome, event.subject, event.actor, event.metadata


# Who gets in


def test_an_administrator_signs_in_and_the_log_tells_so(client: Client, staff: User) -> None:
    answer = sign_in(client, email=" Staff@Example.com ")

    assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, "/admin/")
    assert client.get("/admin/").status_code == HTTPStatus.OK
    assert last_event() == ("account.signin.succeeded", "success", staff.audit_key, staff.audit_key, {"via": "admin"})


@pytest.mark.parametrize(
    ("values", "password", "reason"),
    [
        ({"role": Role.ADMIN}, "Another-password-9", "password"),
        ({"role": Role.USER}, PASSWORD, "not_admitted"),
        ({"role": Role.ADMIN, "verified_at": None}, PASSWORD, "not_admitted"),
        ({"role": Role.ADMIN, "is_active": False}, PASSWORD, "not_admitted"),
        ({"role": Role.ADMIN, "password": "!"}, PASSWORD, "password"),
    ],
)
def test_everybody_else_stays_out(
    client: Client, person: Callable[..., User], values: dict[str, Any], password: str, reason: str
) -> None:
    somebody = person("staff@example.com", **values)

    answer = sign_in(client, password=password)

    assert (answer.status_code, "_auth_user_id" in client.session) == (HTTPStatus.OK, False)
    assert last_event() == (
        "account.signin.failed",
        "failure",
        somebody.audit_key,
        None,
        {"via": "admin", "reason": reason},
    )


@pytest.mark.parametrize("email", ["nobody@example.com", "no address", "x" * 300 + "@example.com"])
def test_an_unknown_address_costs_a_hash_too(
    client: Client, staff: User, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str | None] = []
    real = hashing.verify

    def counted(password: str, encoded: str | None) -> bool:
        checked.append(encoded)
        return real(password, encoded)

    monkeypatch.setattr(hashing, "verify", counted)

    unknown, wrong = sign_in(client, email=email), sign_in(client, password="Another-password-9")

    assert checked == [None, staff.password]
    assert unknown.context["form"].non_field_errors() == wrong.context["form"].non_field_errors()
    first = Event.objects.order_by("created_at", "id")[0]
    assert (first.subject, first.metadata) == (None, {"via": "admin", "reason": "unknown"})


@pytest.mark.usefixtures("staff")
def test_a_full_pool_lets_nobody_in_says_so_and_blames_nobody(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    none_left = turns.Turns([])
    monkeypatch.setattr(hashing, "_turns", lambda: none_left)
    monkeypatch.setattr(settings, "HASH_WAIT_SECONDS", 0.01)

    answer = sign_in(client)

    assert (answer.status_code, "_auth_user_id" in client.session) == (HTTPStatus.OK, False)
    assert "The service is busy." in answer.content.decode()
    assert Event.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [{"stamp": uuid4()}, {"is_active": False}, {"verified_at": None}, {"role": Role.USER}],
    ids=["stamp", "deactivated", "unverified", "demoted"],
)
def test_a_session_ends_with_what_it_was_granted_for(client: Client, staff: User, change: dict[str, Any]) -> None:
    sign_in(client)
    User.objects.filter(pk=staff.pk).update(**change)

    answer = client.get("/admin/")

    assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, f"{SIGN_IN}?next=/admin/")


@pytest.mark.parametrize("path", ["", "accounts/user/", "tokens/session/", "tokens/signingkey/", "audit/event/"])
def test_strangers_are_sent_to_sign_in(client: Client, path: str) -> None:
    answer = client.get(f"/admin/{path}")

    assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, f"{SIGN_IN}?next=/admin/{path}")


@pytest.mark.usefixtures("staff")
def test_signing_in_takes_a_csrf_token() -> None:
    assert sign_in(Client(enforce_csrf_checks=True)).status_code == HTTPStatus.FORBIDDEN


@pytest.fixture
def closed(settings: Any) -> Iterator[None]:
    urls = import_module(settings.ROOT_URLCONF)
    for is_open in (False, True):
        settings.ADMIN_OPEN = is_open
        reload(urls)
        clear_url_caches()
        if not is_open:
            yield


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", USERS])
@pytest.mark.usefixtures("closed")
def test_a_closed_admin_does_not_exist(staff_client: Client, path: str) -> None:
    assert staff_client.get(path).status_code == HTTPStatus.NOT_FOUND


# What the pages show


def test_the_site_is_ours() -> None:
    assert isinstance(admin.site, AdminSite)
    assert admin.site.__class__ is StaffSite or admin.site._wrapped.__class__ is StaffSite  # type: ignore[attr-defined]


def test_the_front_page_tells_the_last_day_and_leads_on(staff_client: Client) -> None:
    Event.objects.create(action="account.signin.failed", outcome="failure")
    Event.objects.create(action="account.signin.failed", outcome="failure")

    answer = staff_client.get("/admin/")

    figures = {str(figure["label"]): figure["count"] for figure in answer.context["figures"]}
    assert figures["Failed sign-ins"] == 2
    assert figures["New registrations"] == 0
    failed = next(figure for figure in answer.context["figures"] if str(figure["label"]) == "Failed sign-ins")
    assert staff_client.get(failed["url"]).context["cl"].result_count == 2
    page = answer.content.decode()
    assert "<title>Administration | authsvc</title>" in page
    assert "account.signin.failed" in page
    assert "Groups" not in page


def test_every_list_and_every_page_opens(staff_client: Client, one_of_each: dict[type[Model], Model]) -> None:
    statuses = {page: staff_client.get(page).status_code for page in pages(one_of_each)}

    assert len(statuses) >= 15
    assert set(statuses.values()) == {HTTPStatus.OK}


def test_no_page_shows_a_secret(staff_client: Client, staff: User, one_of_each: dict[type[Model], Model]) -> None:
    secrets = [staff.password, staff.password.rpartition("$")[2], str(staff.stamp), staff.stamp.hex]
    for mark in (HASH_MARK, SALT_MARK, SEALED_MARK, SEALED_MAIL_MARK, SHARED_MARK, DEVICE_MARK):
        secrets += [mark.decode(), mark.hex()]

    shown = {page: staff_client.get(page).content.decode() for page in pages(one_of_each)}
    found = {(page, secret) for page, text in shown.items() for secret in secrets if secret in text}

    assert found == set()


def test_a_persons_pages_do_not_name_the_audit_key(staff_client: Client, staff: User) -> None:
    for page in (USERS, f"{USERS}{staff.pk}/change/"):
        content = staff_client.get(page).content.decode()
        assert str(staff.audit_key) not in content
        assert staff.audit_key.hex not in content


def test_a_person_leads_on_to_their_sessions_devices_and_events(
    staff_client: Client, staff: User, person: Callable[..., User], one_of_each: dict[type[Model], Model]
) -> None:
    other = person("other@example.com")
    own = Event.objects.create(action="session.ended", outcome="success", subject=staff.audit_key)
    Event.objects.create(action="session.ended", outcome="success", subject=other.audit_key)

    page = staff_client.get(f"{USERS}{staff.pk}/change/").content.decode()
    sessions = f"/admin/tokens/session/?user__id__exact={staff.pk}"
    events = staff_client.get(f"{USERS}{staff.pk}/history/", follow=True)

    devices = f"/admin/tokens/knowndevice/?user__id__exact={staff.pk}"
    assert sessions in page
    assert devices in page
    assert f"{USERS}{staff.pk}/history/" in page
    assert list(staff_client.get(sessions).context["cl"].result_list) == [one_of_each[Session]]
    assert list(staff_client.get(devices).context["cl"].result_list) == [one_of_each[KnownDevice]]
    assert list(events.context["cl"].result_list) == [own]


@pytest.mark.parametrize(("term", "found"), [("ada@", ["ada@example.com"]), ("LOVEL", ["ada@example.com"]), ("zz", [])])
def test_people_are_found_by_address_and_name(
    staff_client: Client, person: Callable[..., User], term: str, found: list[str]
) -> None:
    person("ada@example.com", name="Ada Lovelace")

    answer = staff_client.get(USERS, {"q": term})

    assert [user.email for user in answer.context["cl"].result_list] == found


def test_people_are_filtered_by_whether_they_are_verified(staff_client: Client, person: Callable[..., User]) -> None:
    person("new@example.com", verified_at=None)

    def listed(answer: str) -> list[str]:
        return [user.email for user in staff_client.get(USERS, {"verified": answer}).context["cl"].result_list]

    assert listed("no") == ["new@example.com"]
    assert listed("yes") == ["staff@example.com"]


@pytest.mark.parametrize(
    "lookup", ["password__startswith", "password", "stamp", "stamp__gt", "audit_key", "email__startswith"]
)
def test_columns_can_not_be_guessed_through_the_address_bar(staff_client: Client, lookup: str) -> None:
    assert staff_client.get(USERS, {lookup: "argon2"}).status_code == HTTPStatus.BAD_REQUEST


def test_more_people_cost_no_more_queries(staff_client: Client, person: Callable[..., User]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff_client.get(USERS).status_code == HTTPStatus.OK
        return len(captured)

    with_one = queries()
    for number in range(20):
        person(f"person{number}@example.com")

    assert queries() == with_one


# What they refuse


def test_name_and_language_are_changed_by_the_service_and_nothing_else_is(
    staff_client: Client, staff: User, person: Callable[..., User]
) -> None:
    ada = person("ada@example.com", name="Ada")
    before = row(ada)
    wanted = {
        "name": " Ada Lovelace ",
        "locale": "fr",
        "email": "x@example.com",
        "role": "admin",
        "is_active": "",
        "password": "x",
        "stamp": str(uuid4()),
        "audit_key": str(uuid4()),
    }

    answer = staff_client.post(f"{USERS}{ada.pk}/change/", wanted)

    after = row(ada)
    assert answer.status_code == HTTPStatus.FOUND
    assert {field for field in before if before[field] != after[field]} == {"name", "locale", "updated_at"}
    assert (after["name"], after["locale"]) == ("Ada Lovelace", "fr")
    assert last_event() == (
        "account.updated_by_staff",
        "success",
        ada.audit_key,
        staff.audit_key,
        {"fields": "name,locale"},
    )
    assert LogEntry.objects.count() == 0


def test_saving_what_stands_there_already_leaves_no_trace(staff_client: Client, person: Callable[..., User]) -> None:
    ada = person("ada@example.com", name="Ada")

    staff_client.post(f"{USERS}{ada.pk}/change/", {"name": "Ada", "locale": "en"})

    assert Event.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "explained"),
    [
        ({"name": "", "locale": "en"}, "This field is required."),
        ({"name": "A\u202eda", "locale": "en"}, "A name has 1 to 100 characters, without control characters."),
        ({"name": "Ada", "locale": "tlh"}, "Select a valid choice. tlh is not one of the available choices."),
    ],
)
def test_an_unfit_value_is_explained_in_the_form(
    staff_client: Client, person: Callable[..., User], values: dict[str, str], explained: str
) -> None:
    ada = person("ada@example.com", name="Ada")

    answer = staff_client.post(f"{USERS}{ada.pk}/change/", values)

    assert answer.status_code == HTTPStatus.OK
    assert [list(errors) for errors in answer.context["errors"]] == [[explained]]
    assert User.objects.get(pk=ada.pk).name == "Ada"
    assert Event.objects.count() == 0


def test_people_are_neither_added_nor_deleted_here(staff_client: Client, person: Callable[..., User]) -> None:
    ada = person("ada@example.com")

    answers = [
        staff_client.post(f"{USERS}add/", {"email": "new@example.com", "name": "New", "locale": "en"}),
        staff_client.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"}),
    ]
    staff_client.post(USERS, {"action": "delete_selected", "_selected_action": str(ada.pk), "post": "yes"})

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert set(User.objects.values_list("email", flat=True)) == {"staff@example.com", "ada@example.com"}


@pytest.mark.parametrize("model", [Session, SigningKey, Event])
def test_pages_to_look_at_take_no_post(
    staff_client: Client, one_of_each: dict[type[Model], Model], model: type[Model]
) -> None:
    row = one_of_each[model]
    before = model._default_manager.values().get()

    statuses = [
        staff_client.post(reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_{page}", args=args)).status_code
        for page, args in (("add", []), ("change", [row.pk]), ("delete", [row.pk]))
    ]

    assert statuses == [HTTPStatus.FORBIDDEN] * 3
    assert model._default_manager.values().get() == before


@pytest.mark.parametrize("path", ["/admin/password_change/", "/admin/password_change/done/"])
def test_djangos_password_form_is_closed(staff_client: Client, staff: User, path: str) -> None:
    form = {"old_password": PASSWORD, "new_password1": "New-password-1234", "new_password2": "New-password-1234"}

    assert staff_client.get(path).status_code == HTTPStatus.NOT_FOUND
    assert staff_client.post(path, form).status_code == HTTPStatus.NOT_FOUND
    assert User.objects.get(pk=staff.pk).password == staff.password


def test_no_page_leads_to_djangos_password_form(staff_client: Client) -> None:
    assert "password_change" not in staff_client.get("/admin/").content.decode()


def pages(rows: dict[type[Model], Model]) -> list[str]:
    """Return the front page and, for everything registered, its list and the page of the row made for it."""
    found = ["/admin/"]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[rows[model].pk])]
    return found


@pytest.mark.parametrize("path", ["accounts/user", "audit/event", "mail/outgoingmail", "tokens/session"])
def test_a_filter_that_means_nothing_is_a_bad_request(staff_client: Client, path: str) -> None:
    answer = staff_client.get(f"/admin/{path}/?created_at__year=99999999")

    assert answer.status_code == HTTPStatus.BAD_REQUEST


def test_nothing_is_looked_up_for_view_on_site(staff_client: Client) -> None:
    assert staff_client.get("/admin/r/1/1/").status_code == HTTPStatus.NOT_FOUND


def test_a_sign_in_with_a_foreign_goal_leads_to_the_admin(client: Client, staff: User) -> None:
    answer = client.post("/admin/login/", {"username": staff.email, "password": PASSWORD, "next": "//evil.example/"})

    assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, "/admin/")


def test_a_deletion_that_waits_shows_in_the_list_and_on_the_page(
    staff_client: Client, person: Callable[..., User]
) -> None:
    leaving = person(email="leaving@example.com")
    lifecycle.request_erasure(user=leaving, origin=Origin.system("tests"))
    due_at = ErasureRequest.objects.get().due_at
    shown = date_format(timezone.localtime(due_at), "DATETIME_FORMAT")

    for path in (USERS, f"{USERS}{leaving.pk}/change/"):
        page = staff_client.get(path).content.decode()
        assert "Will be erased" in page
        assert shown in page
