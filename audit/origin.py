"""Who does something, and from where."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """Passed to every function that writes, so that none has to look for a request.

    `actor_id` is the audit key of the signed-in person, `None` for strangers and for jobs.
    """

    ip: str | None
    user_agent: str
    request_id: str
    actor_id: UUID | None

    @classmethod
    def system(cls, job: str) -> Self:
        """Return the origin of a job or command of the service itself, by its name."""
        return cls(ip=None, user_agent=job, request_id="", actor_id=None)
