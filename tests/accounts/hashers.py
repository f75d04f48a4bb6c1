"""A hasher that tells who is at work, and keeps them there."""

from threading import Event, Lock, Semaphore

from authsvc.hashing import Argon2id

PATIENCE_SECONDS = 10


class Watched(Argon2id):
    """Argon2id as ever, but every check waits for `gate`; `entered` counts those that got so far."""

    gate = Event()
    entered = Semaphore(0)
    at_once = 0
    most_at_once = 0
    _lock = Lock()

    @classmethod
    def begin(cls) -> None:
        """Close the gate and forget what was counted."""
        cls.gate, cls.entered = Event(), Semaphore(0)
        cls.at_once = cls.most_at_once = 0

    def verify(self, password: str, encoded: str) -> bool:
        """Check a password once the gate is open."""
        with Watched._lock:
            Watched.at_once += 1
            Watched.most_at_once = max(Watched.most_at_once, Watched.at_once)
        Watched.entered.release()
        try:
            Watched.gate.wait(PATIENCE_SECONDS)
            return super().verify(password, encoded)
        finally:
            with Watched._lock:
                Watched.at_once -= 1
