"""Kombu's transport over Redis, with which a worker outlives a lost connection also in the middle of a task."""

from typing import Any

from kombu.transport import redis


class LastingChannel(redis.Channel):
    """Says what is wrong where kombu 5.7 breaks.

    A task that is underway when its connection is lost wants to give its message back, or to acknowledge it, over a
    transport that has been taken apart. That is an AttributeError, which ends the whole worker; as an error of the
    connection it is passed over, by kombu and by Celery. Nothing is lost: the reconciler finds jobs without a message.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise ConnectionError("the connection to Redis was lost and is closed")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]  # not in kombu's stubs


class LastingTransport(redis.Transport):
    """The transport of such channels."""

    Channel = LastingChannel
