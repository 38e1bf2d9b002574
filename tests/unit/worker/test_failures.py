"""Which errors are tried again, and what the user reads."""

import errno

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from services.worker.audio.errors import NotAudio, TooLong
from services.worker.failures import backoff_seconds, classify
from shared.blobs import BlobMissing, BlobStoreUnavailable
from shared.settings import Settings


class SqlState(Exception):
    """A driver's error with PostgreSQL's code (its manual, appendix A)."""

    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


TRANSIENT = [
    ConnectionError(),
    ConnectionResetError(),
    TimeoutError(),
    OSError(errno.ENOSPC, "No space left on device", "/secret/path"),
    BlobStoreUnavailable("x"),
    RedisConnectionError("redis://:secret@h"),
    OperationalError("SELECT secret", {}, Exception()),
    DBAPIError("SELECT secret", {}, SqlState("57P01")),
]
LASTING = [
    IntegrityError("INSERT secret", {}, SqlState("23505")),
    DBAPIError("SELECT secret", {}, SqlState("42601")),
    NotAudio("Not an audio file."),
    TooLong("Too long."),
    BlobMissing("k"),
    MemoryError(),
    ValueError("secret"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_the_environments_faults_are_tried_again(error: Exception) -> None:
    assert classify(error).is_transient


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_the_files_faults_and_ours_are_not(error: Exception) -> None:
    assert not classify(error).is_transient


@pytest.mark.parametrize("error", [*TRANSIENT, *LASTING], ids=repr)
def test_the_user_reads_a_sentence_without_secrets(error: Exception) -> None:
    message = classify(error).message
    assert message.endswith(".")
    assert message[0].isupper()
    assert not {"secret", "Traceback", "/", "Error"} & set(message.replace(".", " ").split())
    assert "secret" not in message


def test_the_wait_has_full_jitter_and_grows_to_its_limit() -> None:
    settings = Settings(retry_backoff_base_seconds=5, retry_backoff_max_seconds=600)
    longest = {spent: max(backoff_seconds(spent, settings) for _ in range(2000)) for spent in (1, 2, 3, 20)}
    # 2,000 draws of a uniform distribution: the largest is below 0.97 of the limit in one of 10^26 runs.
    for spent, ceiling in {1: 5, 2: 10, 3: 20, 20: 600}.items():
        assert 0.97 * ceiling < longest[spent] <= ceiling
    assert min(backoff_seconds(20, settings) for _ in range(2000)) < 0.03 * 600
