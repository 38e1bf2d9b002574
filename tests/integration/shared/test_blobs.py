"""The blob store, in a real folder."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.blobs import BlobMissing, Blobs, BlobStoreUnavailable, input_key
from shared.settings import Settings


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.from_settings(Settings(data_dir=tmp_path / "a folder with spaces"))


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def whole(blobs: Blobs, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.stream(key, start=start, end=end)])


async def test_a_stream_comes_back_whole_and_in_parts(blobs: Blobs) -> None:
    data = bytes(range(256)) * 40_000
    await blobs.put_stream("a/b", chunks(data[:5], data[5:7_000_000], data[7_000_000:]))
    assert await blobs.size("a/b") == len(data)
    assert await whole(blobs, "a/b") == data
    assert await whole(blobs, "a/b", start=10) == data[10:]
    assert await whole(blobs, "a/b", start=10, end=300) == data[10:300]


async def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    await blobs.put_stream("empty", chunks())
    assert await blobs.size("empty") == 0
    assert await whole(blobs, "empty") == b""


async def test_a_stream_that_breaks_off_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 20_000_000
        raise ValueError("the client went away")

    with pytest.raises(ValueError, match="the client went away"):
        await blobs.put_stream("half", breaks())
    with pytest.raises(BlobMissing):
        await blobs.size("half")
    assert files_in(tmp_path) == []


async def test_move_delete_and_list(blobs: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    await blobs.put_file("incoming/1", file)
    await blobs.move("incoming/1", input_key("ab" * 32))
    (found,) = [found async for found in blobs.list("inputs")]
    assert (found.key, found.size_bytes) == (f"inputs/ab/{'ab' * 32}", 3)
    assert abs(found.modified_at.timestamp() - time.time()) < 60
    assert [found async for found in blobs.list("incoming")] == []
    await blobs.delete([input_key("ab" * 32), "never/was"])
    with pytest.raises(BlobMissing):
        await whole(blobs, input_key("ab" * 32))


async def test_a_store_that_fails_says_so_as_an_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(b"a file where a folder belongs")
    blobs = Blobs.from_settings(Settings(data_dir=tmp_path))
    with pytest.raises(BlobStoreUnavailable):
        await blobs.put_stream("a/b", chunks(b"x"))


def test_a_folder_gives_its_files_away(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.local_path("a/b") == tmp_path / "a folder with spaces" / "blobs" / "a" / "b"


async def test_a_bucket_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, value in {"ENDPOINT": endpoint, "REGION": "x"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        bucket = Blobs.from_settings(Settings(blob_url="s3://bucket/prefix", blob_idle_timeout_seconds=0.5))
        for request in (bucket.size("a"), whole(bucket, "a"), bucket.delete(["a"])):
            began = time.monotonic()
            with pytest.raises(BlobStoreUnavailable):
                await request
            assert time.monotonic() - began < 15
        assert connections
        for writer in connections:
            writer.close()


async def test_the_room_on_the_disk(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_stream("a", chunks(b"x"))
    room = await blobs.room()
    assert room is not None
    stat = os.statvfs(tmp_path)
    assert room.free_bytes == pytest.approx(stat.f_bavail * stat.f_frsize, rel=0.1)
    assert room.capacity_bytes == stat.f_blocks * stat.f_frsize
    assert await Blobs.from_settings(Settings(blob_url="s3://bucket/prefix")).room() is None
