"""Uploads of several requests that were not whole in time are forgotten, with their pieces."""

from collections.abc import AsyncIterator
from pathlib import Path

from services.monitor.duties.expired_resumables import ExpiredResumables
from shared.blobs import Blobs
from shared.settings import Settings
from shared.store.database import Database
from shared.store.unfinished import Piece, UnfinishedUploads, Way


async def _bytes() -> AsyncIterator[bytes]:
    yield b"0123"


async def test_only_those_whose_time_is_over_go(settings: Settings, database: Database, tmp_path: Path) -> None:
    unfinished, blobs = UnfinishedUploads(database), Blobs.from_settings(settings)
    keys = {}
    for name, seconds in (("late", -1.0), ("other", -2.0), ("going on", 60.0)):
        upload = await unfinished.begin(Way.TUS, size_bytes=10, keep_seconds=seconds)
        writer = await unfinished.take(upload.id, at_byte=0)
        assert writer is not None
        keys[name] = f"incoming/{upload.id}"
        await blobs.put_stream(keys[name], _bytes())
        assert await unfinished.advance(upload.id, writer=writer, pieces=[Piece(0, 4, keys[name])])
    duty = ExpiredResumables(unfinished, blobs, batch=1)
    outcomes = [await duty.perform() for _ in range(3)]
    assert [(outcome.done, outcome.more) for outcome in outcomes] == [(1, True), (1, True), (0, False)]
    assert [blob.key async for blob in blobs.list("incoming")] == [keys["going on"]]
    left = await unfinished.pieces(upload.id)
    assert [(piece.start_byte, piece.size_bytes) for piece in left] == [(0, 4)]
