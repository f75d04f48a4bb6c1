"""The service as a WSGI application: what `manage.py serve` runs."""

import os
import sys
from contextlib import suppress
from multiprocessing.util import Finalize
from threading import get_native_id

import django
from django.conf import settings

from authsvc import afterwards, hashing
from authsvc.http.application import Application
from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# How far requests stand behind password hashes where both want the CPU. On a full machine a thread that hashes would
# otherwise get a fifth of it, for there are few of them: a sign-in would wait ten times as long as anything else.
_STEPS_BEHIND_HASHES = 15


def _stand_behind_hashes() -> None:
    """Have this thread, and those that it starts from here on, let hashes go first and take the CPU from nobody.

    A hash that is interrupted for each request finds the caches emptied when it goes on.
    """
    thread = get_native_id()
    with suppress(OSError):  # a sandbox may forbid it
        steps = os.getpriority(os.PRIO_PROCESS, thread) + _STEPS_BEHIND_HASHES
        os.setpriority(os.PRIO_PROCESS, thread, steps)  # beyond the last one there is none
    with suppress(OSError):
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


django.setup(set_prefix=False)
application = Application()
hashing.warm_up()
# Runs at the end of a forked server process, where `atexit` does not.
Finalize(None, afterwards.finish, exitpriority=100)

if settings.EMBEDDED:
    embedded.start()
else:
    from authsvc.tokens import freshness  # its models need the set-up above

    freshness.watch()

if sys.platform == "linux":  # where this is a thread's
    _stand_behind_hashes()
