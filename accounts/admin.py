"""People, for staff."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as _registers_groups  # noqa: F401 - whatever the order of INSTALLED_APPS
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import staff
from authsvc.http.origin import origin_of

if TYPE_CHECKING:
    UserModelAdmin = admin.ModelAdmin[User]
    UserModelForm = forms.ModelForm[User]
else:
    UserModelAdmin = admin.ModelAdmin
    UserModelForm = forms.ModelForm

admin.site.unregister(Group)  # roles decide here, groups nothing


class VerifiedFilter(admin.SimpleListFilter):
    """By whether the address has been proved."""

    title = _("verified")
    parameter_name = "verified"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both answers."""
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Keep the people of the chosen answer."""
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(verified_at__isnull=self.value() == "no")


class UserForm(UserModelForm):
    """What staff may change about a person."""

    class Meta:
        model = User
        fields = ("name", "locale")

    def clean_name(self) -> str:
        """Apply the rule for names that holds everywhere."""
        try:
            return staff.clean_name(self.cleaned_data["name"])
        except staff.UnusableName as unusable:
            raise forms.ValidationError(unusable.message) from unusable


@admin.register(User)
class UserAdmin(UserModelAdmin):
    """Accounts: found, read, renamed. Passwords, stamps and audit keys are on no page."""

    form = UserForm
    list_display = ("email", "name", "role", "is_active", "verified", "erased_on", "created_at", "last_login")
    list_filter = ("role", "is_active", VerifiedFilter, "created_at")
    list_per_page = 50
    list_select_related = ("erasure_request",)
    ordering = ("-created_at",)
    search_fields = ("email", "name")
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("email", "name", "locale")}),
        (_("Access"), {"fields": ("role", "is_active", "erased_on", "verified_at", "last_login")}),
        (_("Trail"), {"fields": ("sessions", "devices", "events", "created_at", "updated_at")}),
    )
    readonly_fields = (
        "email",
        "role",
        "is_active",
        "erased_on",
        "verified_at",
        "last_login",
        "sessions",
        "devices",
        "events",
        "created_at",
        "updated_at",
    )

    @admin.display(boolean=True, ordering="verified_at", description=_("verified"))
    def verified(self, user: User) -> bool:
        """Tell whether the address has been proved."""
        return user.is_verified

    @admin.display(ordering="erasure_request__due_at", description=_("will be erased"))
    def erased_on(self, user: User) -> str | None:
        """Tell when an account goes whose owner asked for its deletion."""
        if not hasattr(user, "erasure_request"):
            return None
        return date_format(timezone.localtime(user.erasure_request.due_at), "DATETIME_FORMAT")

    @admin.display(description=_("sessions"))
    def sessions(self, user: User) -> SafeString:
        """Link to the person's sessions."""
        query = urlencode({"user__id__exact": user.pk})
        return format_html(
            '<a href="{}?{}">{}</a>', reverse("admin:tokens_session_changelist"), query, _("Show sessions")
        )

    @admin.display(description=_("known devices"))
    def devices(self, user: User) -> SafeString:
        """Link to the devices that the person signed in with before."""
        query = urlencode({"user__id__exact": user.pk})
        return format_html(
            '<a href="{}?{}">{}</a>', reverse("admin:tokens_knowndevice_changelist"), query, _("Show devices")
        )

    @admin.display(description=_("events"))
    def events(self, user: User) -> SafeString:
        """Link to what the audit log has about the person."""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:accounts_user_history", args=[user.pk]), _("Show events")
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead on to the audit log, so that the person's page need not name the audit key."""
        del extra_context
        user = self.get_object(request, object_id)
        if user is None:
            raise Http404
        query = urlencode({"subject": user.audit_key})
        return HttpResponseRedirect(f"{reverse('admin:audit_event_changelist')}?{query}")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Leave the writing to the service, which tells the audit log."""
        del form, change
        staff.update_person(user_id=obj.pk, name=obj.name, locale=obj.locale, origin=origin_of(request))

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Write nothing to Django's own log: it copies addresses, which would outlive the account."""
        del request, obj, message

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters by other columns: `password__startswith` would read hashes letter by letter."""
        del value, request
        return lookup.partition("__")[0] in {"role", "is_active", "verified", "created_at"}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: people register, administrators are made by `create_admin`."""
        del request
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse: erasing a person takes more than deleting a row."""
        del request, obj
        return False
