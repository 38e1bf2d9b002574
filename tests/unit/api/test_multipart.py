from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.multipart import MalformedMultipart, parts

TYPE = "multipart/form-data; boundary=XX"


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, size: int, content_type: str = TYPE) -> list[tuple[str, str | None, bytes]]:
    return [
        (part.name, part.filename, b"".join([piece async for piece in part.data]))
        async for part in parts(content_type, pieces(body, size))
    ]


def part(disposition: str, data: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["--XX", f"Content-Disposition: {disposition}", *headers])
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


# Data that looks like boundaries and line ends.
TRICKY = b"\r\n--X\r\n--XY\r\n\r\n--\r\n-"
BODY = (
    part('form-data; name="spec"', b'{"operations": []}', "Content-Type: application/json")
    + part('form-data; name="file"; filename="a b.wav"', TRICKY, "Content-Type: audio/wav", "X-Other: y")
    + part('form-data; name="empty"', b"")
    + b"--XX--\r\n"
)
PARTS = [("spec", None, b'{"operations": []}'), ("file", "a b.wav", TRICKY), ("empty", None, b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(BODY)])
async def test_parts_do_not_depend_on_how_the_body_is_cut(size: int) -> None:
    assert await read(BODY, size) == PARTS


@given(
    data=st.lists(st.sampled_from([b"\r", b"\n", b"-", b"X", b"--XX", b"\r\n--X", b"a"]), max_size=30),
    size=st.integers(1, 40),
)
async def test_data_comes_through_whole(data: list[bytes], size: int) -> None:
    payload = b"".join(data)
    if b"\r\n--XX" in b"\r\n" + payload:
        return
    assert await read(part('form-data; name="file"', payload) + b"--XX--", size) == [("file", None, payload)]


@pytest.mark.parametrize("size", [1, 50, len(BODY)])
async def test_data_that_is_not_read_is_passed_over(size: int) -> None:
    assert [part.name async for part in parts(TYPE, pieces(BODY, size))] == ["spec", "file", "empty"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Größe.wav".encode(), "Größe.wav"),
        ("Größe.wav".encode("latin-1"), "Größe.wav"),
        (b'a\\"b.wav', 'a"b.wav'),
    ],
)
async def test_file_names(raw: bytes, expected: str) -> None:
    body = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="' + raw + b'"\r\n\r\n\r\n--XX--'
    assert await read(body, 10) == [("file", expected, b"")]


@pytest.mark.parametrize("end", range(1, len(BODY) - 2, 7))
async def test_a_body_that_stops_early_is_malformed(end: int) -> None:
    with pytest.raises(MalformedMultipart):
        await read(BODY[:end], 64)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"prologue without boundary",
        b"--YY\r\n\r\n--YY--",
        part("attachment", b"x") + b"--XX--",
        part("form-data", b"x") + b"--XX--",
        b"--XX\r\nContent-Type: audio/wav\r\n\r\nx\r\n--XX--",
        b"--XX\r\nno colon\r\n\r\nx\r\n--XX--",
        b"--XX\r\n" + b"A: b\r\n" * 1000 + b"\r\nx\r\n--XX--",
        b"--XX\r\nA: " + b"b" * 100_000 + b"\r\n\r\nx\r\n--XX--",
    ],
)
async def test_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        await read(body, 16)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "x; boundary=" + "b" * 999]
)
async def test_boundaries_that_are_none(content_type: str) -> None:
    with pytest.raises(MalformedMultipart):
        await read(BODY, 16, content_type)


async def test_no_more_is_read_than_is_asked_for() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        while True:
            taken += 1
            yield b"x" * 1000

    async for found in parts(TYPE, endless()):
        await anext(found.data)
        break
    assert taken <= 2
