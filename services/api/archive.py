"""ZIP archives of artifacts, made while they are sent: in bounded memory, whatever the files' sizes and the store."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from uuid import UUID

from fastapi.responses import StreamingResponse

from shared.blobs import BlobMissing, Blobs
from shared.filenames import UNNAMED, attachment, cleaned
from shared.store.archives import ArchivedFile

# What of a UUIDv7 no other job of a batch has, in the length of a name.
_ID_DIGITS = 12
_GONE = "_gone.txt"


def archive_response(filename: str, pieces: AsyncIterator[bytes]) -> StreamingResponse:
    """An archive as it is made, to be saved under a name."""
    headers = {
        "Content-Disposition": attachment(filename),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


class _Sink(io.RawIOBase):
    """Takes what zipfile writes. It cannot be gone back in, so zipfile puts sizes and sums behind each file."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


async def archived(files: AsyncIterator[ArchivedFile], blobs: Blobs, *, by_job: bool) -> AsyncIterator[bytes]:
    """The bytes of an archive: files as they are (audio is compressed already), ZIP64 throughout.

    What was deleted since it was listed is left out, and named in a file of its own.

    Args:
        files: what goes in, in this order.
        blobs: where the files are.
        by_job: each job has a folder of its own.

    Raises:
        BlobStoreUnavailable: the blob store fails; the archive has no end, which the client sees.
    """
    sink = _Sink()
    gone: list[str] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        async for file in files:
            name = _path(file, by_job=by_job)
            try:
                async for piece in _entry(archive, _described(name, file), sink, blobs.stream(file.blob_key)):
                    yield piece
            except BlobMissing:
                gone.append(name)
        if gone:
            archive.writestr(_GONE, "These files are no longer stored:\n" + "".join(f"{name}\n" for name in gone))
    yield sink.take()


async def _entry(
    archive: zipfile.ZipFile, described: zipfile.ZipInfo, sink: _Sink, pieces: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    # Before the entry is begun: what is not there has none.
    piece = await anext(pieces, None)
    with archive.open(described, "w", force_zip64=True) as entry:
        while piece is not None:
            # In a thread: its checksum takes a while, and holds no GIL.
            await asyncio.to_thread(entry.write, piece)
            yield sink.take()
            piece = await anext(pieces, None)


def _described(name: str, file: ArchivedFile) -> zipfile.ZipInfo:
    made_at = (file.made_at or datetime.now(UTC)).timetuple()[:6]
    described = zipfile.ZipInfo(name, date_time=made_at)
    # A plain file that its owner may write and others read.
    described.external_attr = 0o100644 << 16
    return described


def _path(file: ArchivedFile, *, by_job: bool) -> str:
    """Within the archive. Neither part has a slash or control characters, nor is one of the dots."""
    name = cleaned(file.name) or UNNAMED
    return f"{_folder(file.job_id, file.input_filename)}/{name}" if by_job else name


def _folder(job_id: UUID, input_filename: str | None) -> str:
    stem = PurePosixPath(cleaned(input_filename) or UNNAMED).stem
    return f"{stem}-{job_id.hex[-_ID_DIGITS:]}"
