"""The audio engine from a shell.

python -m services.worker.audio talk.wav
python -m services.worker.audio talk.wav --loudness --waveform talk.dat --transcode talk.mp3 --bitrate 96
python -m services.worker.audio talk.wav --normalize talk.flac --target -16 --json
python -m services.worker.audio talk.wav --intro jingle.mp3 --crossfade 1 --fade-out 3 --preset podcast talk.mp3
python -m services.worker.audio talk.wav --split parts.mp3 --pause 2
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.worker.audio import cli_editing
from services.worker.audio.encoders import EXTENSIONS
from services.worker.audio.engine import Extra, process
from services.worker.audio.errors import AudioError
from services.worker.audio.report import Report
from shared.schema.operations import AnyOperation, ColorMap, FrequencyScale, operations_adapter

# An .m4a is AAC: of formats with the same extension, the first one counts.
_FORMATS = {f".{extension}": audio_format.value for audio_format, extension in reversed(EXTENSIONS.items())}
_BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for a file at fault, 2 for wrong arguments, 130 for Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        operations, targets, extras = _operations(options)
    except ValidationError as error:
        parser.error("; ".join(problem["msg"] for problem in error.errors()))
    except ValueError as error:
        parser.error(str(error))
    try:
        progress = _draw_progress if not options.quiet and sys.stderr.isatty() else None
        report = _run(options.file, operations, targets, extras, progress)
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
    work.add_argument("--acx", action="store_true", help="the rules for audiobooks on ACX")
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
    how.add_argument("--dual-mono", action="store_true", help="mono is as loud as on two speakers")
    cli_editing.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _operations(options: argparse.Namespace) -> tuple[tuple[AnyOperation, ...], dict[str, Path], dict[str, Extra]]:
    """The operations of a command line, where the files of each name shall go, and further inputs."""
    asked: list[dict[str, Any]] = []
    targets: dict[str, Path] = {}
    edits, extras = cli_editing.edits(options)
    album = cli_editing.album(options)
    heard = {"dual_mono": options.dual_mono}
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
        ("normalize", audio, {**encoding, **level, **heard, "album": list(album)}),
        ("split", audio, {**encoding, **cli_editing.cuts(options)}),
    )
    for op, forms, parameters in writing:
        for number, path in enumerate(getattr(options, op), start=1):
            suffix = path.suffix.lower()
            if suffix not in forms:
                raise ValueError(f"{path.name}: --{op} writes {', '.join(sorted(forms))}")
            asked.append({"op": op, "name": f"{op}-{number}", **forms[suffix], **parameters, "edits": edits})
            targets[f"{op}-{number}"] = path
    measuring: dict[str, dict[str, Any]] = {"probe": {}, "loudness": {**heard, "edits": edits}, "acx": {"edits": edits}}
    measures = [op for op in measuring if getattr(options, op)]
    presets, preset_targets = cli_editing.presets(options, edits)
    if not measures and not asked and not presets:
        measures = ["probe", "loudness"]
    operations = operations_adapter.validate_python([*({"op": op, **measuring[op]} for op in measures), *asked])
    return (*operations, *presets), {**targets, **preset_targets}, {**extras, **album}


def _size(text: str) -> dict[str, int]:
    width, height = text.lower().split("x")
    return {"width": int(width), "height": int(height)}


def _given(**parameters: float | str | None) -> dict[str, float | str]:
    return {name: value for name, value in parameters.items() if value is not None}


def _run(
    source: Path,
    operations: tuple[AnyOperation, ...],
    targets: dict[str, Path],
    extras: dict[str, Extra],
    progress: Callable[[float], None] | None,
) -> Report:
    with tempfile.TemporaryDirectory(prefix="wavemill-") as directory:
        try:
            report = process(
                source,
                operations,
                Path(directory),
                on_progress=progress or (lambda fraction: None),
                source_name=source.name,
                extras=extras,
            )
        finally:
            if progress is not None:
                print(file=sys.stderr)
        for artifact in report.artifacts:
            shutil.move(artifact.path, _target(artifact.name, targets))
    return report


def _target(artifact: str, targets: dict[str, Path]) -> Path:
    """Where a file goes: where it was asked to, and where an operation writes several, beside that."""
    name = max((name for name in targets if artifact.startswith((f"{name}.", f"{name}-"))), key=len)
    target, rest = targets[name], artifact.removeprefix(name)
    return target if rest == target.suffix.lower() else target.with_name(target.stem + rest)


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
