"""What can go wrong with the store, in terms that its callers act on."""

from uuid import UUID

from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# What a statement raises, and what a connection that cannot be made raises.
DATABASE_ERRORS: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, OSError)

# Classes of SQLSTATE (PostgreSQL's appendix A): connection, rollback for others' sake, resources, operator (as a
# statement timeout, a shutdown, a start that is not done), system.
_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "57", "58"})


class UploadMissing(Exception):
    """There is no such upload, or its bytes are no longer kept."""

    def __init__(self, upload_id: UUID | None) -> None:
        super().__init__(upload_id)
        self.upload_id = upload_id


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be reached or is too busy; else a statement of ours is wrong."""
    if isinstance(error, DBAPIError):
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        if not sqlstate and isinstance(error, InternalError):
            # The driver's own: a statement that timed out has left its connection out of step with the server.
            return True
        return error.connection_invalidated or isinstance(error, OperationalError) or sqlstate[:2] in _TRANSIENT_CLASSES
    return isinstance(error, PoolTimeoutError | OSError)
