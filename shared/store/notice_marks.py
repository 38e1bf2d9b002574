"""Which jobs are marked when they are made, or begin again: those that somebody is to be told of when they end."""

from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from shared.store.tables import is_standing, webhooks


def wants_notice(key_id: ColumnElement[UUID | None], webhook_id: ColumnElement[UUID | None]) -> ColumnElement[bool]:
    """Whether a job has a webhook of its own, or its key a standing one."""
    its_keys = or_(webhooks.c.key_id == key_id, and_(webhooks.c.key_id.is_(None), key_id.is_(None)))
    standing = select(webhooks.c.id).where(is_standing, webhooks.c.enabled, its_keys)
    return or_(webhook_id.is_not(None), standing.exists())
