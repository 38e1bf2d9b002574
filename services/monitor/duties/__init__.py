"""What the reconciler puts right: one module for each duty.

A duty takes on a bounded number of jobs at a time. It may stop at any point, be done twice, or by two monitors at once:
each of its changes is a conditional one.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one turn of a duty did."""

    done: int
    more: bool = False  # there is more to be done now


class Duty(Protocol):
    """One thing to put right."""

    @property
    def kind(self) -> str:
        """Its name in metrics and logs."""

    async def perform(self) -> Outcome:
        """Do one bounded part of it.

        Raises:
            Exception: a store cannot be reached; another turn will do.
        """
