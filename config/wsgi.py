"""The service as a WSGI application: what `manage.py serve` runs."""

import os
from multiprocessing.util import Finalize

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from authsvc import afterwards, hashing
from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
hashing.warm_up()
# Runs at the end of a forked server process, where `atexit` does not.
Finalize(None, afterwards.finish, exitpriority=100)

if settings.EMBEDDED:
    embedded.start()
else:
    from authsvc.tokens import freshness  # its models need the set-up above

    freshness.watch()
