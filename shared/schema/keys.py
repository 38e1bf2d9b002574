"""API keys as clients see them."""

from enum import StrEnum


class Scope(StrEnum):
    """What a key is good for."""

    SUBMIT = "submit"
    """Upload files; make, cancel, retry and delete jobs."""
    READ = "read"
    """See jobs and uploads, follow them, fetch results."""
    ADMIN = "admin"
    """All of this with everybody's jobs, and the keys themselves."""
