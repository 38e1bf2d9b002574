"""Memory of one block is there for the next.

glibc gives large arrays back to the kernel as soon as they are freed, and asks for the next ones anew. The kernel then
clears each page of each array at its first touch, which costs as much as all that is done with the samples.
"""

import ctypes
from functools import cache

# mallopt(3): from which size on an allocation is a mapping of its own; how much may lie free at the end of a heap; and
# how many heaps there are, for each keeps what it has, and the threads of the next job take others. With glibc's own 8
# a processor, eight jobs in turn held 583 MiB where four heaps held 303 (docs/audio-engine.md).
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -3, -1, -8
_HEAPS = 4
_LARGEST_ON_A_HEAP = 32 * 1024 * 1024
_MOST_LEFT_FREE = 64 * 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Have this process keep what it frees, within bounds; where the C library is another one, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_A_HEAP)
        mallopt(_M_TRIM_THRESHOLD, _MOST_LEFT_FREE)
        mallopt(_M_ARENA_MAX, _HEAPS)
