"""Idempotency keys whose day is over: forgotten."""

from services.monitor.duties import Outcome
from shared.store.idempotency import IdempotencyKeys


class ForgottenIdempotencyKeys:
    """Removes the kept answers of yesterday's requests."""

    kind = "forgotten_idempotency_keys"

    def __init__(self, keys: IdempotencyKeys, *, batch: int) -> None:
        self._keys = keys
        self._batch = batch

    async def perform(self) -> Outcome:
        """Forget the oldest."""
        forgotten = await self._keys.forget(self._batch)
        return Outcome(forgotten, more=forgotten == self._batch)
