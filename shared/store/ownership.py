"""Whose a thing is: what a key has made is invisible to every other key."""

from uuid import UUID

from sqlalchemy import ColumnElement, case, false, func, or_, select, true

from shared.schema.jobs import JobStatus
from shared.store.tables import api_keys, batches, jobs, unfinished_uploads, uploads, webhooks


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


def owns_unfinished(owner: UUID | None) -> ColumnElement[bool]:
    """That an upload of several requests is this key's; every one is, where there is no key to ask for."""
    return true() if owner is None else unfinished_uploads.c.key_id == owner


def given_owner_owns_upload(owner: ColumnElement[UUID | None]) -> ColumnElement[bool]:
    """The same for a statement that is built before it is known who asks."""
    return or_(owner.is_(None), uploads.c.key_id == owner)


def takes_turns(key_id: ColumnElement[UUID | None]) -> ColumnElement[bool | None]:
    """Whether so many jobs of this key may run at a time, and no more (shared/store/turns.py); NULL without a key."""
    return select(api_keys.c.max_running_jobs > 0).where(api_keys.c.id == key_id).scalar_subquery()


def may_be_held() -> ColumnElement[bool]:
    """That a job is held until it is released in its turn: its key has so many jobs run, and no more.

    One that is to be fetched is not: it is its work that takes turns.
    """
    takes = func.coalesce(takes_turns(jobs.c.key_id), false())
    return case((jobs.c.status == JobStatus.FETCHING, false()), else_=takes)
