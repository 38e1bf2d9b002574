"""The end of a task in the background."""

import asyncio

import pytest

from shared.cancellation import cancel


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await cancel(task)
    assert task.cancelled()
    assert swallowed == 1


async def test_tasks_that_have_ended_or_failed_are_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)
    await cancel(*tasks)
    await cancel()
    del tasks
    assert not caplog.records
