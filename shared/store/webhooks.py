"""Webhooks: whom a key wants to be told, and with which secret."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schema.webhooks import NewWebhook, OwnWebhook, WebhookChanges, WebhookTarget, WebhookView
from shared.store.database import Database
from shared.store.ownership import owns_webhook
from shared.store.records import WebhookOrder
from shared.store.tables import is_standing, webhooks

MOST_WEBHOOKS = 20
# In this time a receiver learns the new secret; until its end both sign.
OVERLAP_SECONDS = 86_400.0
_VIEW = (
    webhooks.c.id,
    webhooks.c.url,
    webhooks.c.events,
    webhooks.c.description,
    webhooks.c.enabled,
    webhooks.c.disabled_reason,
    webhooks.c.created_at,
    webhooks.c.previous_secret_expires_at,
)


class TooManyWebhooks(Exception):
    """The key has as many webhooks as one may have."""


class Webhooks:
    """The table of webhooks. Those of one job or batch are found by their id alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        new: NewWebhook,
        *,
        secret: str,
        key_id: UUID | None,
        commit_with: Callable[[AsyncConnection, WebhookView], Awaitable[None]] | None = None,
    ) -> WebhookView:
        """A webhook for all jobs and batches that the key submits from now on.

        Args:
            new: what the client asked for.
            secret: to sign with.
            key_id: whose it is.
            commit_with: what is to be written in the same transaction; whatever it raises, there is no webhook.

        Raises:
            TooManyWebhooks: the key has enough of them.
        """
        row = _row_of(self._database, new, secret, key_id) | {
            "events": list(new.events),
            "description": new.description,
            "is_standing": True,
        }
        its = webhooks.c.key_id.is_(None) if key_id is None else webhooks.c.key_id == key_id
        async with self._database.write() as connection:
            count = select(func.count()).select_from(webhooks).where(is_standing, its)
            if (await connection.execute(count)).scalar_one() >= MOST_WEBHOOKS:
                raise TooManyWebhooks
            added = await connection.execute(insert(webhooks).values(row).returning(*_VIEW))
            webhook = WebhookView.model_validate(added.mappings().one())
            if commit_with is not None:
                await commit_with(connection, webhook)
        return webhook

    async def get(self, webhook_id: UUID, *, owner: UUID | None = None) -> WebhookView | None:
        """The webhook, or None when the owner has none of this id."""
        async with self._database.read() as connection:
            found = await connection.execute(select(*_VIEW).where(webhooks.c.id == webhook_id, owns_webhook(owner)))
            row = found.mappings().one_or_none()
        return None if row is None else WebhookView.model_validate(row)

    async def secret(self, webhook_id: UUID) -> str | None:
        """What its messages are signed with now; None when there is no such webhook."""
        async with self._database.read() as connection:
            found = await connection.execute(select(webhooks.c.secret).where(webhooks.c.id == webhook_id))
            return found.scalar_one_or_none()

    async def all(self, *, owner: UUID | None = None) -> Sequence[WebhookView]:
        """The standing webhooks of the owner, the oldest first."""
        query = select(*_VIEW).where(is_standing, owns_webhook(owner)).order_by(webhooks.c.id)
        async with self._database.read() as connection:
            return [WebhookView.model_validate(row) for row in (await connection.execute(query)).mappings()]

    async def change(
        self, webhook_id: UUID, changes: WebhookChanges, *, owner: UUID | None = None
    ) -> WebhookView | None:
        """Change what is given. One that is enabled again begins without the reason why it was not."""
        values: dict[str, Any] = changes.model_dump(mode="json", exclude_none=True)
        if changes.enabled:
            values["disabled_reason"] = None
        if not values:
            return await self.get(webhook_id, owner=owner)
        return await self._update(webhook_id, values, owner)

    async def rotate(self, webhook_id: UUID, secret: str, *, owner: UUID | None = None) -> WebhookView | None:
        """Sign with a new secret from now on, and with the one before as well for a day."""
        values = {
            "secret": secret,
            "previous_secret": webhooks.c.secret,
            "previous_secret_expires_at": self._database.now(OVERLAP_SECONDS),
        }
        return await self._update(webhook_id, values, owner)

    async def remove(self, webhook_id: UUID, *, owner: UUID | None = None) -> bool:
        """Take away a standing webhook, with its deliveries; what was not delivered will not be."""
        gone = delete(webhooks).where(webhooks.c.id == webhook_id, is_standing, owns_webhook(owner))
        async with self._database.write() as connection:
            return (await connection.execute(gone.returning(webhooks.c.id))).one_or_none() is not None

    async def _update(self, webhook_id: UUID, values: Mapping[str, Any], owner: UUID | None) -> WebhookView | None:
        changed = update(webhooks).where(webhooks.c.id == webhook_id, owns_webhook(owner)).values(**values)
        async with self._database.write() as connection:
            row = (await connection.execute(changed.returning(*_VIEW))).mappings().one_or_none()
        return None if row is None else WebhookView.model_validate(row)


async def own_webhook(connection: AsyncConnection, webhook_id: UUID) -> OwnWebhook | None:
    """The webhook of a job or a batch, in a transaction that reads more."""
    found = await connection.execute(select(webhooks.c.id, webhooks.c.url).where(webhooks.c.id == webhook_id))
    row = found.mappings().one_or_none()
    return None if row is None else OwnWebhook.model_validate(row)


async def add_own(connection: AsyncConnection, database: Database, order: WebhookOrder, key_id: UUID | None) -> UUID:
    """A webhook of one job or batch, in the transaction that makes it; gives its id."""
    row = _row_of(database, order.target, order.secret, key_id)
    await connection.execute(insert(webhooks).values(row))
    webhook_id: UUID = row["id"]
    return webhook_id


def _row_of(database: Database, target: WebhookTarget, secret: str, key_id: UUID | None) -> dict[str, Any]:
    """A new row; one of a job's or a batch's own, if nothing else is said."""
    return {
        "id": uuid_utils.compat.uuid7(),
        "url": target.url,
        "events": [],
        "description": "",
        "secret": secret,
        "enabled": True,
        "is_standing": False,
        "created_at": database.now(),
        "key_id": key_id,
    }
