"""A real recording through the whole system, on both databases; results against values known from elsewhere."""

import json
from pathlib import Path

import psutil

from shared.settings import Settings
from tests.audio_files import integrated_loudness, recording, sine
from tests.system import System

OPERATIONS: tuple[dict[str, object], ...] = (
    {"op": "probe"},
    {"op": "loudness"},
    {"op": "waveform", "samples_per_pixel": 256, "formats": ["dat", "json"]},
    {"op": "transcode", "format": "mp3", "bitrate_kbps": 96},
    {"op": "normalize", "target_lufs": -24, "format": "flac"},
)


def test_a_recording_comes_back_measured_drawn_transcoded_and_normalised(running: System, tmp_path: Path) -> None:
    job = running.finished(running.submit(recording(), *OPERATIONS)["id"])
    assert (job["status"], job["error_message"], job["progress"]) == ("succeeded", None, 1)
    results = job["results"]
    # The file's header: 48 kHz, mono, 16 bit, 2,129,958 samples.
    stream = results["probe"]["streams"][0]
    assert (stream["codec"], stream["sample_rate"], stream["channels"]) == ("pcm_s16le", 48000, 1)
    assert abs(results["probe"]["duration_seconds"] - 2_129_958 / 48000) < 1e-4
    # An independent measurement of the same file.
    assert abs(results["loudness"]["integrated_lufs"] - integrated_loudness(recording())) <= 0.1
    assert results["waveform"]["length"] == -(-2_129_958 // 256)
    drawn = json.loads(running.artifact(job, "waveform.json"))
    assert (drawn["version"], drawn["channels"], drawn["bits"], len(drawn["data"])) == (2, 1, 8, 2 * drawn["length"])
    assert len(running.artifact(job, "waveform.dat")) == 24 + 2 * drawn["length"]

    master = tmp_path / "master.flac"
    master.write_bytes(running.artifact(job, "normalize.flac"))
    assert not results["normalize"]["limited_by_peak"]
    assert abs(integrated_loudness(master) - -24) <= 0.1
    for artifact in job["artifacts"]:
        assert artifact["size_bytes"] == len(running.artifact(job, artifact["name"]))
    attempt = job["attempts"][0]
    assert (len(job["attempts"]), attempt["outcome"]) == (1, "succeeded")
    assert attempt["cpu_seconds"] > 0
    assert abs(attempt["audio_seconds"] - 2_129_958 / 48000) < 1e-4
    # The process that read the file could not have mapped more than the settings allow; its name is host/pid/start.
    child = psutil.Process(int(attempt["worker"].split("/")[1]))
    assert child.rlimit(psutil.RLIMIT_AS)[0] == Settings().worker_address_space_mib * 1024 * 1024


def test_a_sine_at_minus_23_dbfs_measures_minus_23_lufs(system: System, tmp_path: Path) -> None:
    system.start()
    tone = sine(tmp_path / "tone.wav", dbfs=-23)
    results = system.finished(system.submit(tone, {"op": "loudness"})["id"])["results"]
    assert abs(results["loudness"]["integrated_lufs"] - -23.0) <= 0.1
    assert abs(results["loudness"]["true_peak_dbtp"] - -23.0) <= 0.1


def test_log_lines_are_json_and_name_the_job_and_the_attempt(system: System) -> None:
    system.start()
    job = system.finished(system.submit(recording(), {"op": "probe"})["id"])
    assert system.logged(service="worker", job_id=job["id"], attempt=1)
