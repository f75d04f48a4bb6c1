"""Insert the people of a measurement into a peer's database: `python -m deploy.bench.peers.seed COUNT PASSWORD`."""

import sys
from typing import Any

import django
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password


def main() -> None:
    """Insert users u1, u2, … who share one password hash."""
    count, password = int(sys.argv[1]), sys.argv[2]
    django.setup()
    model: Any = get_user_model()
    encoded = make_password(password)
    model.objects.bulk_create(
        model(username=f"u{number}", email=f"u{number}@bench.example.org", password=encoded)
        for number in range(1, count + 1)
    )


if __name__ == "__main__":
    main()
