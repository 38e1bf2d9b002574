"""How often a wrong key may be tried."""

import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 300.0
_FROM_ONE_ADDRESS = 5
# Also of many addresses together: a key is not guessed by a crowd either, and the memory is bounded.
_IN_ALL = 50


class LoginLimit:
    """The latest failures, of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque()

    def wait_seconds(self, address: str) -> float:
        """How long this address has to wait before it may try; 0 when it may now."""
        now = self._clock()
        while self._failures and self._failures[0][0] <= now - _WINDOW_SECONDS:
            self._failures.popleft()
        its_own = [at for at, of in self._failures if of == address]
        waits = [0.0]
        if len(its_own) >= _FROM_ONE_ADDRESS:
            waits.append(its_own[-_FROM_ONE_ADDRESS] + _WINDOW_SECONDS - now)
        if len(self._failures) >= _IN_ALL:
            waits.append(self._failures[0][0] + _WINDOW_SECONDS - now)
        return max(waits)

    def failed(self, address: str) -> None:
        """A wrong key came from there."""
        self._failures.append((self._clock(), address))
