"""A bound on a child's memory: a file made to exhaust it ends its own job, not the machine."""

import resource

MEBIBYTE = 1024 * 1024


def limit(mebibytes: int) -> None:
    """Let this process and its children map no more than this; beyond it an allocation fails."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = mebibytes * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
