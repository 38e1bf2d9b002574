"""Whose a thing is: what a key has made is invisible to every other key."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, true

from shared.store.tables import batches, jobs, uploads, webhooks


def owns_job(owner: UUID | None) -> ColumnElement[bool]:
    """That a job is this key's; every job is, where there is no key to ask for."""
    return true() if owner is None else jobs.c.key_id == owner


def owns_upload(owner: UUID | None) -> ColumnElement[bool]:
    """That an upload is this key's; every upload is, where there is no key to ask for."""
    return true() if owner is None else uploads.c.key_id == owner


def owns_batch(owner: UUID | None) -> ColumnElement[bool]:
    """That a batch is this key's; every batch is, where there is no key to ask for."""
    return true() if owner is None else batches.c.key_id == owner


def owns_webhook(owner: UUID | None) -> ColumnElement[bool]:
    """That a webhook is this key's; every webhook is, where there is no key to ask for."""
    return true() if owner is None else webhooks.c.key_id == owner


def given_owner_owns_upload(owner: ColumnElement[UUID | None]) -> ColumnElement[bool]:
    """The same for a statement that is built before it is known who asks."""
    return or_(owner.is_(None), uploads.c.key_id == owner)
