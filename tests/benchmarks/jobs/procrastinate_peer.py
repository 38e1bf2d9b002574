"""procrastinate on PostgreSQL: a no-op task. `python -m tests.benchmarks.jobs.procrastinate_peer` is one worker."""

import asyncio
import os

import procrastinate

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ.get("DATABASE_URL", ""), min_size=2, max_size=10)
)


@app.task(name="no_op")
async def no_op(number: int) -> None:
    """Do nothing."""


async def work() -> None:
    """Work until SIGTERM, one job at a time."""
    async with app.open_async():
        await app.run_worker_async(concurrency=1)


if __name__ == "__main__":
    asyncio.run(work())
