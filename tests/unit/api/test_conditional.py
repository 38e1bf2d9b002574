import pytest

from services.api.conditional import ByteRange, failed_precondition, requested_range
from services.api.problems import ProblemError


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, None),
        ("bytes=0-", ByteRange(0, 10)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=9-9", ByteRange(9, 10)),
        ("bytes=3-99", ByteRange(3, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-10", ByteRange(0, 10)),
        ("bytes=-11", ByteRange(0, 10)),
        ("bytes=3-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes 0-1", None),
    ],
)
def test_ranges(asked: str | None, expected: ByteRange | None) -> None:
    assert requested_range({} if asked is None else {"range": asked}, "tag", 10) == expected


@pytest.mark.parametrize(
    ("asked", "size"),
    [("bytes=10-", 10), ("bytes=11-12", 10), ("bytes=" + "9" * 4000 + "-", 10), ("bytes=0-", 0), ("bytes=-1", 0)],
)
def test_ranges_behind_the_end(asked: str, size: int) -> None:
    with pytest.raises(ProblemError) as caught:
        requested_range({"range": asked}, "tag", size)
    assert caught.value.problem.status == 416
    assert caught.value.headers == {"Content-Range": f"bytes */{size}"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"if-match": '"tag"'}, None),
        ({"if-match": '"other"'}, 412),
        ({"if-match": 'W/"tag"'}, 412),
        ({"if-match": ""}, 412),
        ({"if-none-match": '"tag"'}, 304),
        ({"if-none-match": 'W/"tag"'}, 304),
        ({"if-none-match": '"other"'}, None),
        ({"if-none-match": ""}, None),
    ],
)
def test_preconditions(headers: dict[str, str], expected: int | None) -> None:
    assert failed_precondition(headers, "tag") == expected
