"""Django's own apps, as this service uses them."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The admin, on our site instead of the stock one."""

    default = False
    default_site = "accounts.admin_site.StaffSite"
