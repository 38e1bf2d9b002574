"""What a spec is said to make, beside what the engine makes of it."""

from pathlib import Path

from services.worker.audio.engine import process
from shared.schema.jobs import JobSpec
from shared.schema.operations import OPERATIONS
from shared.schema.plans import planned_artifacts
from tests.audio_files import ffmpeg

# Each operation in its usual form, and those that make several files.
SPEC = JobSpec.model_validate(
    {
        "operations": [
            *(dict(operation.example) for operation in OPERATIONS),
            *({"op": "transcode", "format": form, "name": form} for form in ("mp3", "opus", "aac", "flac", "wav")),
            {"op": "transcode", "format": "alac", "name": "alac"},
            {"op": "waveform", "formats": ["json", "svg"], "name": "json"},
            {"op": "loudness", "series": ["json"], "name": "series"},
            {"op": "split", "every_seconds": 1, "format": "opus", "name": "parts"},
            {"op": "split", "every_seconds": 1, "files": False, "name": "chapters"},
        ]
    }
)


def test_the_files_of_a_plan_are_those_that_the_engine_makes(tmp_path: Path) -> None:
    tone = tmp_path / "tone.wav"
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=2:sample_rate=48000", tone)
    output = tmp_path / "output"
    output.mkdir()
    report = process(tone, SPEC.operations, output)
    made = {artifact.name: artifact.media_type for artifact in report.artifacts}
    planned = {file.name: file for file in planned_artifacts(SPEC)}
    assert {name: file.media_type for name, file in planned.items()}.items() <= made.items() | {
        (file.name, file.media_type) for file in planned.values() if not file.certain
    }
    # What was not planned by name are the further parts of what was.
    assert made.keys() - planned.keys() == {"parts-002.opus"}
    assert {file.operation for file in planned.values() if not file.certain} == {"probe", "split", "parts"}
