"""Who makes a request."""

from dataclasses import dataclass
from uuid import UUID

from services.api.problems import ProblemError
from shared.schema.keys import Scope


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the API one key may use; 0 is no limit."""

    requests_per_second: float = 0.0
    burst: int = 0
    max_queued_jobs: int = 0
    max_running_jobs: int = 0
    max_stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """A key, or somebody on this machine while there are no keys."""

    key_id: UUID | None
    scopes: frozenset[Scope]
    limits: Limits

    @property
    def owner(self) -> UUID | None:
        """Whose things are there for this caller; None: everybody's."""
        return None if Scope.ADMIN in self.scopes else self.key_id

    def require(self, scope: Scope) -> None:
        """See that the caller may do this. Administrators may do everything.

        Raises:
            ProblemError: 403, it may not.
        """
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise ProblemError(
                403,
                "scope-missing",
                "Not allowed with this key",
                f"This key lacks the scope {scope.value!r}; ask the operator for one that has it.",
            )


KEYLESS = Caller(None, frozenset(Scope), Limits())
