"""Where the engine says that its time went."""

import time
from pathlib import Path

from services.worker.audio.engine import process
from shared.schema.operations import Loudness, Normalize, Probe, Transcode
from tests.audio_files import recording


def test_each_part_of_a_run_is_timed_within_it(tmp_path: Path) -> None:
    operations = (Probe(), Loudness(), Transcode(format="flac"), Normalize(format="wav"))
    began, began_at = time.time_ns(), time.perf_counter()
    report = process(recording(), operations, tmp_path)
    took, ended = time.perf_counter() - began_at, time.time_ns()
    timings = {timing.step: timing for timing in report.timings}
    # A probe reads the header alone, and loudness is what the meter measures, for both who want it.
    assert set(timings) == {"decode", "meter", "transcode", "normalize"}
    assert len(report.timings) == len(timings)
    for timing in report.timings:
        assert began <= timing.began_ns < timing.ended_ns <= ended
        assert 0 < timing.busy_seconds <= took
    # It needs the loudness of the whole before it begins.
    assert timings["normalize"].began_ns >= timings["decode"].ended_ns
