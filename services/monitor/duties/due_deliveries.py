"""Messages to webhooks that are due: handed to the workers of the queue `io`."""

from services.monitor.duties import Outcome
from services.monitor.messages import Messages
from shared.broker import IO_QUEUE, DeliveryMessage, Publisher
from shared.store.deliveries import Deliveries

# After this one that no worker has tried is published again: its message was lost, or waits.
_GRACE_SECONDS = 30.0
# While so many messages wait nothing is published: they would only be there twice.
_ENOUGH_MESSAGES = 1000


class DueDeliveries:
    """Lets attempts begin."""

    kind = "due_deliveries"

    def __init__(self, deliveries: Deliveries, messages: Messages, publisher: Publisher, *, batch: int) -> None:
        self._deliveries = deliveries
        self._messages = messages
        self._publisher = publisher
        self._batch = batch

    async def perform(self) -> Outcome:
        """Publish those that have been due the longest. What Redis does not take is due again after a grace."""
        depths = await self._messages.depths()
        if depths[IO_QUEUE] >= _ENOUGH_MESSAGES:
            return Outcome(0)
        due = await self._deliveries.dispatch_due(grace_seconds=_GRACE_SECONDS, limit=self._batch)
        if due:
            await self._publisher.offer([DeliveryMessage(each.delivery_id, each.traceparent) for each in due])
        return Outcome(len(due), more=len(due) == self._batch)
