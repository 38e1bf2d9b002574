"""The life of a message to a webhook: pending until it is delivered or given up.

A worker that tries one holds its lease; what it reports changes the row by a conditional UPDATE, so that a message is
tried by one worker at a time, and by another one when the first fell silent. Its receiver may so get it twice, and
knows that by its id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import uuid_utils.compat
from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, literal, or_, select, update

from shared.schema.webhooks import DeliveryStatus, DeliveryView, WebhookEvent
from shared.store.database import Database
from shared.store.dialect import upsert
from shared.store.tables import has_ended, is_pending, tallies, webhook_deliveries, webhooks
from shared.store.tallies import WEBHOOK_OUTCOMES

_VIEW = tuple(
    webhook_deliveries.c[name]
    for name in (
        "id",
        "event",
        "subject_id",
        "status",
        "attempts",
        "attempted_at",
        "took_seconds",
        "response_status",
        "error",
        "due_at",
        "created_at",
        "ended_at",
    )
)
DELIVERED, RETRIED, FAILED = OUTCOMES = ("delivered", "retried", "failed")
"""What an attempt can come to, as it is counted."""
_FREE: Mapping[str, Any] = {"lease_token": None, "lease_expires_at": None}


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A message that is to be tried, and the trace that it belongs to."""

    delivery_id: UUID
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """The right to try a message, and all that is needed for it."""

    delivery_id: UUID
    token: UUID
    webhook_id: UUID
    url: str
    secrets: tuple[str, ...]  # each signs
    is_enabled: bool
    body: str
    attempts: int  # with this one
    seconds_left: float  # until it is given up


@dataclass(frozen=True, slots=True)
class Tried:
    """What an attempt came to."""

    took_seconds: float
    response_status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryBacklog:
    """The messages that are not delivered yet."""

    pending: int
    overdue_seconds: float  # how long ago the next attempt of one should have been; 0 where none is late
    oldest_seconds: float  # since the creation of the oldest


def new_delivery(
    database: Database,
    webhook_id: UUID,
    event: WebhookEvent,
    body: str,
    *,
    subject_id: UUID | None,
    traceparent: str | None,
    give_up_seconds: float,
) -> dict[str, Any]:
    """The row of a message that is due at once."""
    return {
        "id": uuid_utils.compat.uuid7(),
        "webhook_id": webhook_id,
        "event": event,
        "subject_id": subject_id,
        "body": body,
        "traceparent": traceparent,
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "due_at": database.now(),
        "give_up_at": database.now(give_up_seconds),
        "created_at": database.now(),
    }


class Deliveries:
    """The arrows, and the questions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook_id: UUID, event: WebhookEvent, body: str, *, give_up_seconds: float) -> DeliveryView:
        """A message that no job or batch is the reason of."""
        row = new_delivery(
            self._database,
            webhook_id,
            event,
            body,
            subject_id=None,
            traceparent=None,
            give_up_seconds=give_up_seconds,
        )
        async with self._database.write() as connection:
            added = await connection.execute(insert(webhook_deliveries).values(row).returning(*_VIEW))
            return _view(added.mappings().one())

    async def dispatch_due(self, *, grace_seconds: float, limit: int) -> Sequence[DueDelivery]:
        """The messages that are due and that no worker tries; each is published by the caller, once in a grace."""
        now = self._database.now()
        due = (
            select(webhook_deliveries.c.id)
            .where(
                is_pending, webhook_deliveries.c.due_at <= now, self._is_free(), self._is_undispatched(grace_seconds)
            )
            .order_by(webhook_deliveries.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            # As in Jobs.release_due.
            .cte("due")
        )
        dispatched = (
            update(webhook_deliveries)
            .where(webhook_deliveries.c.id.in_(select(due.c.id)), is_pending)
            .values(dispatched_at=now)
            .returning(webhook_deliveries.c.id, webhook_deliveries.c.traceparent)
        )
        async with self._database.write() as connection:
            return [DueDelivery(row.id, row.traceparent) for row in await connection.execute(dispatched)]

    async def claim(self, delivery_id: UUID, *, lease_seconds: float) -> ClaimedDelivery | None:
        """The right to try a message; None when it has ended, is not due, or another worker tries it."""
        token = uuid4()
        now = self._database.now()
        claimed = (
            update(webhook_deliveries)
            .where(
                webhook_deliveries.c.id == delivery_id, is_pending, webhook_deliveries.c.due_at <= now, self._is_free()
            )
            .values(
                lease_token=token,
                lease_expires_at=self._database.now(lease_seconds),
                attempts=webhook_deliveries.c.attempts + 1,
                attempted_at=now,
            )
            .returning(
                webhook_deliveries.c.webhook_id,
                webhook_deliveries.c.body,
                webhook_deliveries.c.attempts,
                webhook_deliveries.c.give_up_at,
                webhook_deliveries.c.attempted_at,
            )
        )
        async with self._database.write() as connection:
            row = (await connection.execute(claimed)).one_or_none()
            if row is None:
                return None
            target = (await connection.execute(select(webhooks).where(webhooks.c.id == row.webhook_id))).one()
        secrets = [target.secret]
        if target.previous_secret_expires_at is not None and target.previous_secret_expires_at > row.attempted_at:
            secrets.append(target.previous_secret)
        return ClaimedDelivery(
            delivery_id=delivery_id,
            token=token,
            webhook_id=row.webhook_id,
            url=target.url,
            secrets=tuple(secrets),
            is_enabled=target.enabled,
            body=row.body,
            attempts=row.attempts,
            seconds_left=(row.give_up_at - row.attempted_at).total_seconds(),
        )

    async def succeed(self, claim: ClaimedDelivery, tried: Tried) -> bool:
        """Pending -> delivered. False when another worker has the message by now, or it is gone."""
        ended = {"status": DeliveryStatus.DELIVERED, "ended_at": self._database.now()}
        return await self._report(claim, tried, DELIVERED, ended)

    async def retry(self, claim: ClaimedDelivery, tried: Tried, *, delay_seconds: float) -> bool:
        """It stays pending, due again after a delay. False as above."""
        later = {"due_at": self._database.now(delay_seconds), "dispatched_at": None}
        return await self._report(claim, tried, RETRIED, later)

    async def give_up(self, claim: ClaimedDelivery, tried: Tried, *, disable_because: str | None = None) -> bool:
        """Pending -> failed, and its webhook is disabled where there is a reason for that. False as above."""
        ended = {"status": DeliveryStatus.FAILED, "ended_at": self._database.now()}
        return await self._report(claim, tried, FAILED, ended, disable_because)

    async def page(self, webhook_id: UUID, *, before: UUID | None, limit: int) -> Sequence[DeliveryView]:
        """The newest messages of a webhook first; `before` is the id of the last one that was seen."""
        query = (
            select(*_VIEW)
            .where(webhook_deliveries.c.webhook_id == webhook_id)
            .order_by(webhook_deliveries.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(webhook_deliveries.c.id < before)
        async with self._database.read() as connection:
            return [_view(row) for row in (await connection.execute(query)).mappings()]

    async def replay(self, webhook_id: UUID, delivery_id: UUID, *, give_up_seconds: float) -> DeliveryView | None:
        """Have a message sent again, under the id that it had: pending, as if it were new. None when there is none."""
        again = (
            update(webhook_deliveries)
            .where(webhook_deliveries.c.id == delivery_id, webhook_deliveries.c.webhook_id == webhook_id)
            .values(
                **_FREE,
                status=DeliveryStatus.PENDING,
                attempts=0,
                due_at=self._database.now(),
                give_up_at=self._database.now(give_up_seconds),
                dispatched_at=None,
                ended_at=None,
            )
            .returning(*_VIEW)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(again)).mappings().one_or_none()
        return None if row is None else _view(row)

    async def backlog(self) -> DeliveryBacklog:
        """What is not delivered yet, from an index that has nothing else."""
        query = select(
            func.count(),
            func.min(webhook_deliveries.c.due_at),
            func.min(webhook_deliveries.c.created_at),
            self._database.now(),
        ).where(is_pending)
        async with self._database.read() as connection:
            count, due, oldest, now = (await connection.execute(query)).one()
        return DeliveryBacklog(count, _age(due, now), _age(oldest, now))

    async def forget(self, *, keep_seconds: float, limit: int) -> int:
        """Remove messages that ended so long ago; gives how many."""
        old = (
            select(webhook_deliveries.c.id)
            .where(has_ended, webhook_deliveries.c.ended_at < self._database.now(-keep_seconds))
            .order_by(webhook_deliveries.c.ended_at)
            .limit(limit)
        )
        gone = delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(old.scalar_subquery()))
        async with self._database.write() as connection:
            return len((await connection.execute(gone.returning(webhook_deliveries.c.id))).all())

    def _is_free(self) -> ColumnElement[bool]:
        expires_at = webhook_deliveries.c.lease_expires_at
        return or_(expires_at.is_(None), expires_at < self._database.now())

    def _is_undispatched(self, grace_seconds: float) -> ColumnElement[bool]:
        dispatched_at = webhook_deliveries.c.dispatched_at
        return or_(dispatched_at.is_(None), dispatched_at < self._database.now(-grace_seconds))

    async def _report(
        self,
        claim: ClaimedDelivery,
        tried: Tried,
        outcome: str,
        values: Mapping[str, Any],
        disable_because: str | None = None,
    ) -> bool:
        its_row = (webhook_deliveries.c.id == claim.delivery_id) & (webhook_deliveries.c.lease_token == claim.token)
        reported = (
            update(webhook_deliveries)
            .where(its_row, is_pending)
            .values(
                **_FREE,
                took_seconds=tried.took_seconds,
                response_status=tried.response_status,
                error=tried.error,
                **values,
            )
            .returning(webhook_deliveries.c.id)
        )
        counted = upsert(self._database.dialect_name, tallies).values(name=WEBHOOK_OUTCOMES, label=outcome, total=1)
        async with self._database.write() as connection:
            if (await connection.execute(reported)).one_or_none() is None:
                return False
            if disable_because is not None:
                disabled = update(webhooks).where(webhooks.c.id == claim.webhook_id, webhooks.c.enabled)
                await connection.execute(disabled.values(enabled=False, disabled_reason=disable_because))
            # Last: it is the row that others wait for.
            await connection.execute(
                counted.on_conflict_do_update(
                    index_elements=["name", "label"], set_={"total": tallies.c.total + literal(1)}
                )
            )
        return True


def _view(row: RowMapping) -> DeliveryView:
    is_over = row["ended_at"] is not None
    return DeliveryView.model_validate({**dict(row), "due_at": None if is_over else row["due_at"]})


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
