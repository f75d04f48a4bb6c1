"""`manage.py serve`: one web server, configured by the environment."""

import errno
import gc
import multiprocessing
import os
import signal
import socket
import sys
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver, reverse
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from authsvc import turns

_STOP_SECONDS = 20
# Per process: what is accepted beyond this waits in the kernel's queue.
_CONNECTIONS = 512


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = (
        "Serve HTTP on PORT with WEB_PROCESSES processes, as the environment says. Embedded mode prepares its "
        "database first and sends its own mail. Ends with Ctrl-C or SIGTERM once running requests are answered."
    )
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Serve.

        Raises `CommandError` where the address cannot be listened on.
        """
        _claim_address(settings.LISTEN_HOST, settings.PORT)
        if settings.EMBEDDED:
            self._prepare_database()
        # Imported once, here, and shared by every process: all views, and the client of the broker.
        get_resolver().url_patterns  # noqa: B018 - a property that imports
        current_app.connection_for_write().get_transport_cls()
        if sys.platform == "linux":
            multiprocessing.set_start_method("fork", force=True)  # a later Python has another default
        turns.share(processes=settings.WEB_PROCESSES, turns=settings.HASH_POOL_SIZE)
        connections.close_all()
        # Collecting garbage writes to every object it looks at; what was made so far stays shared with the children.
        gc.collect()
        gc.freeze()
        server = Server(
            "config.wsgi:application",
            address=settings.LISTEN_HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            workers=settings.WEB_PROCESSES,
            blocking_threads=settings.WEB_THREADS,
            backpressure=_CONNECTIONS,
            websockets=False,
            log_access=False,
            log_level=LogLevels.error,  # it warns of every number of threads beyond the CPUs; ours wait for servers
            log_dictconfig=settings.LOGGING,
            respawn_failed_workers=True,
            workers_kill_timeout=_STOP_SECONDS,
        )
        server.on_startup(self._announce)
        os.register_at_fork(after_in_child=_leave_ctrl_c_to_the_parent)
        try:
            server.serve()
        except SystemExit:
            # Told to stop along with its children, it may find one gone that it has not stopped yet.
            if not server.interrupt_signal:
                raise

    def _prepare_database(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0)

    def _announce(self) -> None:
        base = settings.PUBLIC_URL
        self.stdout.write(f"authsvc ({settings.APP_ENV}) serves {base}/")
        if settings.EMBEDDED:
            self.stdout.write(f"  API reference  {base}{reverse('docs')}")
            self.stdout.write(f"  mailbox        {base}{reverse('mailbox')}")
            self.stdout.write(f"  admin          {base}{reverse('admin:index')}")
        self.stdout.flush()


def _leave_ctrl_c_to_the_parent() -> None:
    """Block SIGINT: a terminal sends it to parent and children, and a child told to stop twice over hangs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _claim_address(host: str, port: int) -> None:
    """Fail early and in one line where somebody else listens: the server itself would share the port with them."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as reason:
            if reason.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {port} is in use. Stop what listens there, or set PORT.") from None
            raise CommandError(f"Cannot listen on {host}:{port}: {reason.strerror}.") from None
