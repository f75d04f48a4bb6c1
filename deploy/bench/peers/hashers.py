"""Our password hash for a peer, so that a lead is not just a cheaper hash."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class SameHash(Argon2PasswordHasher):
    """Argon2id with t=2, m=19456 KiB, p=1."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1
