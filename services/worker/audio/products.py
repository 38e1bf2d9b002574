"""Products of matrices stay in the thread that asks for them.

OpenBLAS divides a large product among threads of its own, one for each processor. A job decodes, measures and encodes
in threads already: OpenBLAS's would wait for the same processors, and every product for the last of them.
"""

from functools import cache

from threadpoolctl import threadpool_limits


@cache
def keep_products_in_their_thread() -> None:
    """For this process, and those that are forked from it."""
    threadpool_limits(limits=1, user_api="blas")
