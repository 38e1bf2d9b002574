"""Every check of the chaos suite sees what it is there to see: sound evidence, spoiled in one place at a time."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos import verdict
from tests.chaos.evidence import ArtifactRow, AttemptRow, Blob, Change, Evidence, JobRow, Rewritten
from tests.chaos.load import Answer, Seen, Submission
from tests.chaos.recipes import Recipe

DRAW = Recipe("draw", "a.wav", ({"op": "waveform"},), frozenset({"waveform.dat"}), 1)
MEASURE = Recipe("measure", "a.wav", ({"op": "loudness"},), frozenset(), 1)
NOISE = Recipe("no audio", "a.bin", ({"op": "probe"},), frozenset(), 1, is_audio=False)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
DATA = b"pixels"
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY, LEFT = "artifacts/1/2-cc/waveform.dat", "artifacts/1/1-aa/waveform.dat"
RESULTS = {"waveform": {"artifacts": ["waveform.dat"]}}


def change(job_id: str, seconds: float, status: str, version: int, attempt: int, *before: str) -> Change:
    """So many seconds after noon the job came from one status, or from nothing, to another."""
    at, old_version = NOON + timedelta(seconds=seconds), version - 1 if before else None
    lease = NOON + timedelta(seconds=8) if before == ("running",) else None
    return Change(job_id, at, before[0] if before else None, status, old_version, version, attempt, lease)


def sound() -> Evidence:
    """Job 1 lost its first attempt and succeeded by its second, job 2 was canceled as it waited, job 3 is no audio, and
    job 5 was canceled as it waited, and done after its user took that back."""
    events = [
        Seen("status", 1, 0.0, "queued", 0),
        Seen("status", 2, 0.0, "running", 1),
        Seen("progress", 2, 0.5, "running", 1),
        Seen("status", 5, 1.0, "succeeded", 2),
    ]
    return Evidence(
        submissions=[
            Submission("1.wav", DRAW, Answer.ACCEPTED, job_id="1", followed=True, events=events),
            Submission("2.wav", DRAW, Answer.ACCEPTED, job_id="2", cancel="canceled"),
            Submission("3.bin", NOISE, Answer.ACCEPTED, job_id="3"),
            Submission("4.wav", DRAW, Answer.REFUSED, "503"),
            Submission("5.wav", MEASURE, Answer.ACCEPTED, job_id="5", cancel="canceled", retry="queued"),
        ],
        jobs=[
            JobRow("1", "1.wav", "aa", "succeeded", 5, 2, False, RESULTS, None, False),
            JobRow("2", "2.wav", "aa", "canceled", 2, 0, True, None, None, False),
            JobRow("3", "3.bin", "bb", "failed", 3, 1, False, None, "unsupported", False),
            JobRow("5", "5.wav", "aa", "succeeded", 5, 1, False, {"loudness": {}}, None, False),
        ],
        attempts=[
            AttemptRow("1", 1, "lost", True),
            AttemptRow("1", 2, "succeeded", True),
            AttemptRow("3", 1, "failed", True),
            AttemptRow("5", 1, "succeeded", True),
        ],
        artifacts=[ArtifactRow("1", "waveform.dat", 2, KEY, len(DATA), SHA256)],
        changes=[
            change("1", 0, "queued", 1, 0),
            change("1", 1, "running", 2, 1, "queued"),
            change("1", 9, "queued", 3, 1, "running"),
            change("1", 12, "running", 4, 2, "queued"),
            change("1", 15, "succeeded", 5, 2, "running"),
            change("2", 0, "queued", 1, 0),
            change("2", 1, "canceled", 2, 0, "queued"),
            change("3", 0, "queued", 1, 0),
            change("3", 1, "running", 2, 1, "queued"),
            change("3", 2, "failed", 3, 1, "running"),
            change("5", 0, "queued", 1, 0),
            change("5", 1, "canceled", 2, 0, "queued"),
            change("5", 100, "queued", 3, 0, "canceled"),
            change("5", 101, "running", 4, 1, "queued"),
            change("5", 102, "succeeded", 5, 1, "running"),
        ],
        rewritten=[],
        blobs={
            KEY: Blob(len(DATA), SHA256),
            LEFT: Blob(3, "cc"),
            "inputs/aa/aa": Blob(9, "aa"),
        },
    )


def _with(evidence: Evidence, part: str, rows: list[Any]) -> Evidence:
    changed: Any = {part: rows}
    return replace(evidence, **changed)


def spoiled(part: str, index: int, **values: Any) -> Evidence:
    """The evidence with one row changed."""
    evidence = sound()
    rows = list(getattr(evidence, part))
    rows[index] = replace(rows[index], **values)
    return _with(evidence, part, rows)


def with_more(part: str, *rows: Any) -> Evidence:
    """The evidence with further rows."""
    evidence = sound()
    return _with(evidence, part, [*getattr(evidence, part), *rows])


def without(part: str, index: int) -> Evidence:
    """The evidence with a row less."""
    evidence = sound()
    rows = list(getattr(evidence, part))
    del rows[index]
    return _with(evidence, part, rows)


def told(*events: Seen) -> Evidence:
    """The first job's client saw other events."""
    return spoiled("submissions", 0, events=list(events))


FIRST, RUNNING, HALF, LAST = sound().submissions[0].events
TWIN = JobRow("6", "1.wav", "aa", "canceled", 2, 0, True, None, None, False)
OTHER_RESULTS = {"waveform": {"artifacts": ["waveform.dat"], "length": 1}}
SPOILED: dict[str, tuple[str, Evidence]] = {
    "accepted and gone": (verdict.LOST, without("jobs", 1)),
    "never ended": (verdict.LOST, spoiled("jobs", 1, status="queued")),
    "two jobs of one submission": (verdict.DOUBLED, with_more("jobs", TWIN)),
    "two attempts that ended it": (verdict.DOUBLED, spoiled("attempts", 0, outcome="failed")),
    "ended by an earlier attempt": (verdict.DOUBLED, spoiled("jobs", 0, attempt=3)),
    "an open attempt": (verdict.DOUBLED, spoiled("attempts", 1, ended=False)),
    "an attempt that was written to": (verdict.DOUBLED, with_more("rewritten", Rewritten("1", 1, "lost", "succeeded"))),
    "a write after the end": (
        verdict.DOUBLED,
        with_more("changes", change("1", 16, "succeeded", 6, 2, "succeeded")),
    ),
    "a retry that nobody asked for": (verdict.DOUBLED, spoiled("submissions", 4, retry=None)),
    "a retry of a success": (verdict.DOUBLED, spoiled("changes", 12, old_status="succeeded")),
    "two ends and no retry between": (verdict.DOUBLED, with_more("attempts", AttemptRow("3", 2, "failed", True))),
    "a version left out": (verdict.DOUBLED, spoiled("changes", 4, new_version=6)),
    "a version too many": (verdict.DOUBLED, spoiled("jobs", 0, version=6)),
    "an attempt without a row": (verdict.DOUBLED, without("attempts", 2)),
    "91 s without a sign": (verdict.STUCK, spoiled("changes", 2, at=NOON + timedelta(seconds=92.5))),
    "a wrong answer": (verdict.WRONG_ANSWER, spoiled("submissions", 3, answer=Answer.WRONG)),
    "canceled by nobody": (verdict.WRONG_END, spoiled("submissions", 1, cancel=None)),
    "said to be canceled and done": (verdict.WRONG_END, spoiled("submissions", 0, cancel="canceled")),
    "failed without a reason": (verdict.WRONG_END, spoiled("submissions", 2, recipe=DRAW)),
    "no audio and done": (verdict.WRONG_END, spoiled("submissions", 0, recipe=replace(DRAW, is_audio=False))),
    "submitted by nobody": (verdict.WRONG_END, without("submissions", 1)),
    "an artifact that no result names": (verdict.WRONG_ARTIFACTS, spoiled("jobs", 0, results={"waveform": {}})),
    "an artifact missing": (verdict.WRONG_ARTIFACTS, without("artifacts", 0)),
    "an artifact nobody asked for": (verdict.WRONG_ARTIFACTS, spoiled("artifacts", 0, name="other.dat")),
    "an artifact of another attempt": (verdict.WRONG_ARTIFACTS, spoiled("artifacts", 0, attempt=1)),
    "an artifact of a failed job": (verdict.WRONG_ARTIFACTS, spoiled("artifacts", 0, job_id="3")),
    "a blob missing": (verdict.WRONG_ARTIFACTS, replace(sound(), blobs={})),
    "a blob cut short": (verdict.WRONG_ARTIFACTS, replace(sound(), blobs={KEY: Blob(3, "dd")})),
    "unlike results of one recipe": (
        verdict.WRONG_ARTIFACTS,
        with_more("jobs", replace(sound().jobs[0], id="7", filename="4.wav", results=OTHER_RESULTS)),
    ),
    "events out of order": (verdict.WRONG_EVENTS, told(FIRST, HALF, RUNNING, LAST)),
    "an event twice": (verdict.WRONG_EVENTS, told(FIRST, RUNNING, RUNNING, LAST)),
    "an event that never was": (verdict.WRONG_EVENTS, told(FIRST, replace(RUNNING, status="failed"), LAST)),
    "no last event": (verdict.WRONG_EVENTS, told(FIRST, RUNNING)),
    "no event": (verdict.WRONG_EVENTS, told()),
    "a stream that was refused": (verdict.WRONG_EVENTS, spoiled("submissions", 0, stream_error="answered with 500")),
}


def test_sound_evidence_breaks_nothing() -> None:
    assert verdict.breaches(sound()) == []


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_place_is_found(what: str) -> None:
    kind, evidence = SPOILED[what]
    assert kind in {breach.kind for breach in verdict.breaches(evidence)}


def test_blobs_of_lost_attempts_are_counted_and_others_are_breaches() -> None:
    left, found = verdict.orphaned(sound())
    assert (left, found) == ([LEFT], [])
    # Of the second attempt too, but of a claim that PostgreSQL forgot.
    forgotten = "artifacts/1/2-bb/waveform.dat"
    wrong = ["artifacts/1/2-cc/more.dat", "artifacts/1/3-dd/waveform.dat", "elsewhere"]
    blobs = {**sound().blobs, **{key: Blob(1, "ee") for key in (forgotten, *wrong)}}
    left, found = verdict.orphaned(replace(sound(), blobs=blobs))
    assert left == [LEFT, forgotten]
    assert [breach.what.split()[0] for breach in found] == wrong


def test_a_recovery_lasts_from_the_last_sign_of_life_to_the_next_attempt() -> None:
    # The lease of 6 s that ran out at 12:00:08 was renewed at 12:00:02; the next attempt began at 12:00:12.
    assert verdict.longest_recovery(sound(), lease_seconds=6.0) == 10.0
