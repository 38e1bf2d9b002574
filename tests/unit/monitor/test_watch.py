"""Looking at a store in the background."""

import asyncio
from collections.abc import Iterator

import pytest

from services.monitor import watch
from services.monitor.watch import Watch


async def test_there_is_no_view_of_a_store_that_is_away() -> None:
    answers: Iterator[int | None] = iter([1, None, 2])

    async def look() -> int:
        answer = next(answers)
        if answer is None:
            raise ConnectionRefusedError
        return answer

    store = Watch("database", look)
    seen = [(store.is_up, store.view)]
    for _ in range(3):
        await store.look()
        seen.append((store.is_up, store.view))
    assert seen == [(None, None), (True, 1), (False, None), (True, 2)]


async def test_a_store_that_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.05)
    store = Watch("redis", lambda: asyncio.sleep(60, 1))
    await store.look()
    assert (store.is_up, store.view) == (False, None)
    assert store.took_seconds >= 0.05


@pytest.mark.parametrize(("look_seconds", "pause_seconds"), [(0.0, 2.0), (0.3, 3.0)])
async def test_a_long_look_is_followed_by_a_longer_pause(
    look_seconds: float, pause_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def look() -> bool:
        await sleep(look_seconds)
        return True

    async def heard_sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", heard_sleep)
    with pytest.raises(asyncio.CancelledError):
        await Watch("database", look).run()
    assert pause_seconds <= pauses[0] < pause_seconds + 2


async def test_a_store_that_is_away_is_looked_at_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.5)
    pauses: list[float] = []
    hang = asyncio.Event().wait

    async def heard_sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", heard_sleep)
    with pytest.raises(asyncio.CancelledError):
        await Watch("database", hang).run()
    assert pauses == [2.0]
