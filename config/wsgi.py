"""The service as a WSGI application: what `manage.py serve` runs."""

import os
import sys
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
_STEPS_BEHIND_HASHES = 10

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

if sys.platform == "linux":  # where a priority is a thread's: those of requests are started by this one, from here on
    os.setpriority(os.PRIO_PROCESS, get_native_id(), _STEPS_BEHIND_HASHES)
