"""Mail by SMTP, encrypted wherever the server offers it."""

import smtplib
import ssl

from django.core.mail.backends import smtp

from config.values import is_loopback


class _Greeted(smtplib.SMTP):
    """An SMTP connection that turns to TLS (RFC 3207) before anything else, where the server can."""

    def __init__(self, host: str, port: int, *, local_hostname: str, timeout: float) -> None:
        super().__init__(host, port, local_hostname=local_hostname, timeout=timeout)
        try:
            self.ehlo_or_helo_if_needed()
            if self.has_extn("starttls"):
                self.starttls(context=_context(host))
        except BaseException:
            self.close()  # nobody else gets to see this connection
            raise


class EmailBackend(smtp.EmailBackend):
    """Django's backend with opportunistic STARTTLS in place of all or nothing."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Return what a connection is made with."""
        return smtplib.SMTP_SSL if self.use_ssl else _Greeted


def _context(host: str) -> ssl.SSLContext:
    """Return a context that checks the certificate, except on loopback, for which nobody issues one."""
    context = ssl.create_default_context()
    if is_loopback(f"smtp://[{host}]" if ":" in host else f"smtp://{host}"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
