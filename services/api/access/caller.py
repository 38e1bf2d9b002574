"""Who makes a request."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from services.api.problems import ProblemError
from shared.schema.keys import KeyLimits, Scope

_FIELDS = {"requests_per_second", "burst", "max_queued_jobs", "max_stored_bytes"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the API one key may use; 0 is no limit."""

    requests_per_second: float = 0.0
    burst: int = 0
    max_queued_jobs: int = 0
    max_stored_bytes: int = 0

    @classmethod
    def of(cls, own: KeyLimits, defaults: KeyLimits) -> Self:
        """The key's own where it has them."""
        # How many jobs may run is the store's concern (shared/store/turns.py).
        return cls(**{**defaults.model_dump(include=_FIELDS), **own.model_dump(include=_FIELDS, exclude_none=True)})


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
