"""The audio engine from a shell.

python -m services.worker.audio talk.wav
python -m services.worker.audio talk.wav --loudness --waveform talk.dat --transcode talk.mp3 --bitrate 96
python -m services.worker.audio talk.wav --normalize talk.flac --target -16 --json
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.worker.audio.encoders import EXTENSIONS
from services.worker.audio.engine import process
from services.worker.audio.errors import AudioError
from services.worker.audio.report import Report
from shared.schema.operations import AnyOperation, ColorMap, FrequencyScale, operations_adapter

_FORMATS = {f".{extension}": audio_format.value for audio_format, extension in EXTENSIONS.items()}
_BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for a file at fault, 2 for wrong arguments, 130 for Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        operations, targets = _operations(options)
    except ValidationError as error:
        parser.error("; ".join(problem["msg"] for problem in error.errors()))
    except ValueError as error:
        parser.error(str(error))
    try:
        report = _run(options.file, operations, targets, show_progress=not options.quiet and sys.stderr.isatty())
    except AudioError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.strerror}: {error.filename}" if error.filename else error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _print(report, as_json=options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.worker.audio",
        description="Measure and convert audio: everything that is asked for, from one decode.",
        epilog="Without an operation: --probe --loudness. Formats go by extension: " + ", ".join(sorted(_FORMATS)),
    )
    parser.add_argument("file", type=Path, help="the input")
    work = parser.add_argument_group("operations")
    work.add_argument("--probe", action="store_true", help="container, streams and tags")
    work.add_argument("--loudness", action="store_true", help="EBU R128 loudness, range and true peak")
    work.add_argument("--waveform", type=Path, action="append", default=[], metavar="OUT", help=".dat or .json")
    work.add_argument("--spectrogram", type=Path, action="append", default=[], metavar="OUT", help=".png")
    work.add_argument("--silence", type=Path, action="append", default=[], metavar="OUT", help="silences, .json")
    work.add_argument("--transcode", type=Path, action="append", default=[], metavar="OUT", help="another format")
    work.add_argument("--normalize", type=Path, action="append", default=[], metavar="OUT", help="at a loudness")
    how = parser.add_argument_group("parameters")
    how.add_argument("--samples-per-pixel", type=int, metavar="N", help="of the waveform (256)")
    how.add_argument("--bits", type=int, choices=(8, 16), help="of the waveform (8)")
    how.add_argument("--size", type=_size, default={}, metavar="WxH", help="pixels of the spectrogram (1024x512)")
    how.add_argument("--scale", choices=[scale.value for scale in FrequencyScale], help="its frequency axis (linear)")
    how.add_argument("--colors", choices=[colors.value for colors in ColorMap], help="its colour map (viridis)")
    how.add_argument("--threshold", type=float, metavar="DBFS", help="what is below is silent (-50)")
    how.add_argument("--min-seconds", type=float, metavar="S", help="shortest silence that is listed (0.5)")
    how.add_argument("--bitrate", type=int, metavar="KBPS", help="of lossy outputs (64 a channel)")
    how.add_argument("--rate", type=int, metavar="HZ", help="sample rate of outputs (the input's)")
    how.add_argument("--channels", type=int, metavar="N", help="channels of outputs (the input's)")
    how.add_argument("--target", type=float, metavar="LUFS", help="loudness to normalise to (-16)")
    how.add_argument("--ceiling", type=float, metavar="DBTP", help="true peak that the gain stops at (-1)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _operations(options: argparse.Namespace) -> tuple[tuple[AnyOperation, ...], dict[str, Path]]:
    """The operations of a command line, and where the artifact of each name shall go."""
    asked: list[dict[str, Any]] = []
    targets: dict[str, Path] = {}
    encoding = _given(bitrate_kbps=options.bitrate, sample_rate=options.rate, channels=options.channels)
    level = _given(target_lufs=options.target, true_peak_dbtp=options.ceiling)
    drawing = _given(samples_per_pixel=options.samples_per_pixel, bits=options.bits)
    picture = _given(frequency_scale=options.scale, colors=options.colors, **options.size)
    quiet = _given(threshold_dbfs=options.threshold, min_seconds=options.min_seconds)
    audio = {suffix: {"format": audio_format} for suffix, audio_format in _FORMATS.items()}
    # Each operation that writes a file: what the file's extension says, and the parameters.
    writing: tuple[tuple[str, dict[str, dict[str, Any]], dict[str, Any]], ...] = (
        ("waveform", {".dat": {"formats": ["dat"]}, ".json": {"formats": ["json"]}}, drawing),
        ("spectrogram", {".png": {}}, picture),
        ("silence", {".json": {}}, quiet),
        ("transcode", audio, encoding),
        ("normalize", audio, {**encoding, **level}),
    )
    for op, forms, parameters in writing:
        for number, path in enumerate(getattr(options, op), start=1):
            suffix = path.suffix.lower()
            if suffix not in forms:
                raise ValueError(f"{path.name}: --{op} writes {', '.join(sorted(forms))}")
            asked.append({"op": op, "name": f"{op}-{number}", **forms[suffix], **parameters})
            targets[f"{op}-{number}{suffix}"] = path
    measures = [op for op in ("probe", "loudness") if getattr(options, op)]
    if not measures and not asked:
        measures = ["probe", "loudness"]
    return operations_adapter.validate_python([*({"op": op} for op in measures), *asked]), targets


def _size(text: str) -> dict[str, int]:
    width, height = text.lower().split("x")
    return {"width": int(width), "height": int(height)}


def _given(**parameters: float | str | None) -> dict[str, float | str]:
    return {name: value for name, value in parameters.items() if value is not None}


def _run(
    source: Path, operations: tuple[AnyOperation, ...], targets: dict[str, Path], *, show_progress: bool
) -> Report:
    with tempfile.TemporaryDirectory(prefix="wavemill-") as directory:
        try:
            report = process(
                source,
                operations,
                Path(directory),
                on_progress=_draw_progress if show_progress else lambda fraction: None,
                source_name=source.name,
            )
        finally:
            if show_progress:
                print(file=sys.stderr)
        for artifact in report.artifacts:
            shutil.move(artifact.path, targets[artifact.name])
    return report


def _draw_progress(fraction: float) -> None:
    filled = round(fraction * _BAR_WIDTH)
    bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
    print(f"\r[{bar}] {fraction:4.0%}", end="", file=sys.stderr, flush=True)


def _print(report: Report, *, as_json: bool) -> None:
    results = {name: result.model_dump(mode="json") for name, result in report.results.items()}
    if as_json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
        return
    for name, result in results.items():
        print(name)
        for field, value in result.items():
            if field not in {"op", "artifact", "artifacts"}:
                print(f"  {field:24} {value if not isinstance(value, list | dict) else json.dumps(value)}")
