"""What one event stream has not sent yet, in bounded memory however slowly its client reads."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

# So many jobs' news. Beyond that the stream reads the store again, which costs the others less than its memory would.
_SIZE = 1000

Letter = TypeVar("Letter")


class Mailbox(Generic[Letter]):
    """The latest letter about each thing, in the order in which they came.

    A newer letter takes the older one's place: where a thing stands now says all that matters. When letters about too
    many things wait, all are thrown away; `has_lost` says so.
    """

    def __init__(self) -> None:
        self._letters: OrderedDict[Hashable, Letter] = OrderedDict()
        self._arrival = asyncio.Event()
        self._is_closed = False
        self.has_lost = False

    def put(self, about: Hashable, letter: Letter) -> None:
        """Deliver a letter."""
        self._letters.pop(about, None)
        if len(self._letters) >= _SIZE:
            self._letters.clear()
            self.has_lost = True
        self._letters[about] = letter
        self._arrival.set()

    def waiting(self, about: Hashable) -> Letter | None:
        """The letter about a thing, if one waits."""
        return self._letters.get(about)

    def drop(self, about: Hashable) -> None:
        """Throw away the letter about a thing."""
        self._letters.pop(about, None)

    async def next(self) -> Letter | None:
        """The oldest letter, once there is one; None when letters were lost, or the mailbox was closed."""
        while not self._letters and not self._is_closed and not self.has_lost:
            self._arrival.clear()
            await self._arrival.wait()
        if self._is_closed or self.has_lost:
            return None
        return self._letters.popitem(last=False)[1]

    def close(self) -> None:
        """No letter is read any more."""
        self._is_closed = True
        self._arrival.set()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed
