"""The mailbox of embedded mode."""

from django.urls import path

from authsvc.mail import pages

urlpatterns = [
    path("mailbox", pages.mailbox_list, name="mailbox"),
    path("mailbox/<uuid:mail_id>", pages.mailbox_mail, name="mailbox-mail"),
    path("mailbox/<uuid:mail_id>/body", pages.mailbox_body, name="mailbox-body"),
]
