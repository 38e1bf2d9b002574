"""The audio engine from a shell.

python -m services.worker.audio talk.wav
python -m services.worker.audio talk.wav --loudness --waveform talk.dat --transcode talk.mp3 --bitrate 96
python -m services.worker.audio talk.wav --normalize talk.flac --target -16 --json
python -m services.worker.audio talk.wav --waveform talk.svg --spectrogram talk.png --axes --loudness-series talk.csv
python -m services.worker.audio talk.wav --transcode talk.mp3 --quality 2 --tag title=Talk --loudness-tags
python -m services.worker.audio talk.wav --preset podcast --output episode/
python -m services.worker.audio talk.wav --intro jingle.mp3 --crossfade 1 --fade-out 3 --transcode episode.mp3
python -m services.worker.audio talk.wav --split part.mp3 --pause 2
python -m services.worker.audio talk.wav --operation '{"op": "split", "every_seconds": 600}' --output parts/
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.worker.audio import cli_editing
from services.worker.audio.encoders import EXTENSIONS
from services.worker.audio.engine import Extra, process
from services.worker.audio.errors import AudioError
from services.worker.audio.report import Report
from shared.schema.operations import (
    AnyOperation,
    AudioFormat,
    ColorMap,
    FrequencyScale,
    Tags,
    WaveformFormat,
    input_names,
    operations_adapter,
    with_names,
)
from shared.schema.presets import PRESETS

# ALAC shares its extension with AAC: --alac tells them apart.
_FORMATS = {
    f".{extension}": audio_format.value
    for audio_format, extension in EXTENSIONS.items()
    if audio_format is not AudioFormat.ALAC
}
_BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for a file at fault, 2 for wrong arguments, 130 for Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        operations, targets = _operations(options)
        extras = _extras(options, operations)
    except ValidationError as error:
        parser.error("; ".join(problem["msg"] for problem in error.errors()))
    except ValueError as error:
        parser.error(str(error))
    try:
        report = _run(options, operations, targets, extras)
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
    _add_operations(parser.add_argument_group("operations"))
    _add_drawing(parser.add_argument_group("parameters of measurements and pictures"))
    _add_encoding(parser.add_argument_group("parameters of outputs"))
    cli_editing.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _add_operations(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--probe", action="store_true", help="container, streams, tags, cover and chapters")
    group.add_argument("--cover", type=Path, metavar="OUT", help="the same, and the cover picture")
    group.add_argument("--loudness", action="store_true", help="EBU R128 loudness, range and true peak")
    group.add_argument("--loudness-series", type=Path, metavar="OUT", help="the same, and over time, .csv or .json")
    for name, written in (
        ("waveform", ".dat, .json, .png or .svg"),
        ("spectrogram", ".png"),
        ("silence", "silences, .json"),
        ("transcode", "another format"),
        ("normalize", "at a loudness"),
        ("split", "parts: OUT-001, OUT-002 and so on"),
    ):
        group.add_argument(f"--{name}", type=Path, action="append", default=[], metavar="OUT", help=written)
    group.add_argument("--acx", action="store_true", help="the rules for audiobooks on ACX")
    group.add_argument("--preset", action="append", default=[], choices=list(PRESETS), help="operations by a name")
    group.add_argument(
        "--operation", type=json.loads, action="append", default=[], metavar="JSON", help="any, as a job's spec has it"
    )
    group.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="where the files of these two go (.)")
    group.add_argument("--input", action="append", default=[], metavar="NAME=FILE", help="a further input for these")


def _add_drawing(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dual-mono", action="store_true", help="mono is as loud as on two speakers")
    group.add_argument("--replay-gain", action="store_true", help="gains for players, with the loudness")
    group.add_argument("--samples-per-pixel", type=int, metavar="N", help="of the waveform (256)")
    group.add_argument("--pixels-per-second", type=int, metavar="N", help="of the waveform, instead of that")
    group.add_argument("--bits", type=int, choices=(8, 16), help="of the waveform (8)")
    group.add_argument("--data-version", type=int, choices=(1, 2), help="of the waveform's data (2)")
    group.add_argument("--split-channels", action="store_true", help="a waveform of each channel")
    group.add_argument("--wave-color", metavar="#RRGGBB", help="of the waveform's picture")
    group.add_argument("--background-color", metavar="#RRGGBB", help="of the waveform's picture; AA behind it: opacity")
    group.add_argument("--fit-to-peak", action="store_true", help="the waveform's picture fills its height")
    group.add_argument("--size", type=_size, default={}, metavar="WxH", help="pixels of the pictures")
    group.add_argument("--axes", action="store_true", help="around the spectrogram")
    group.add_argument("--scale", choices=[scale.value for scale in FrequencyScale], help="its frequencies (linear)")
    group.add_argument("--colors", choices=[colors.value for colors in ColorMap], help="its colour map (viridis)")
    group.add_argument("--threshold", type=float, metavar="DBFS", help="what is below is silent (-50)")
    group.add_argument("--min-seconds", type=float, metavar="S", help="shortest silence that is listed (0.5)")


def _add_encoding(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--bitrate", type=int, metavar="KBPS", help="of lossy outputs (64 a channel)")
    group.add_argument("--quality", type=int, metavar="N", help="of .mp3 at a variable bit rate, 0 (best) to 9")
    group.add_argument("--rate-control", choices=("cbr", "vbr"), help="of .mp3 (cbr) and .opus (vbr)")
    group.add_argument("--bit-depth", type=int, choices=(16, 24, 32), help="of lossless outputs; 32 is float")
    group.add_argument("--compression-level", type=int, metavar="N", help="of .flac, 0 to 12 (5)")
    group.add_argument("--alac", action="store_true", help=".m4a is lossless")
    group.add_argument("--rate", type=int, metavar="HZ", help="sample rate of outputs (the input's)")
    group.add_argument("--channels", type=int, metavar="N", help="channels of outputs (the input's)")
    group.add_argument("--target", type=float, metavar="LUFS", help="loudness to normalise to (-16)")
    group.add_argument("--ceiling", type=float, metavar="DBTP", help="true peak that the gain stops at (-1)")
    group.add_argument("--tag", action="append", default=[], metavar="NAME=TEXT", help=", ".join(Tags.model_fields))
    group.add_argument("--no-tags", action="store_true", help="do not carry over the input's tags")
    group.add_argument("--no-cover", action="store_true", help="do not carry over the input's cover picture")
    group.add_argument("--no-chapters", action="store_true", help="do not carry over the input's chapters")
    group.add_argument("--loudness-tags", action="store_true", help="ReplayGain or R128 tags in outputs but --split's")


def _operations(options: argparse.Namespace) -> tuple[tuple[AnyOperation, ...], dict[str, Path]]:
    """The operations of a command line, and where the artifact of each name shall go."""
    asked, targets = _measurements(options)
    for op, forms, parameters in _writing(options):
        for number, path in enumerate(getattr(options, op), start=1):
            suffix = _suffix(path, op, forms)
            asked.append({"op": op, "name": f"{op}-{number}", **parameters, **forms[suffix]})
            targets[f"{op}-{number}{suffix}"] = path
    presets = [operation.model_dump() for name in options.preset for operation in PRESETS[name].operations]
    if not asked and not presets and not options.operation:
        asked = [{"op": "probe"}, {"op": "loudness"}]
    edited = [cli_editing.edited(operation, options) for operation in (*asked, *presets)]
    return with_names(operations_adapter.validate_python([*edited, *options.operation])), targets


def _measurements(options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    asked: list[dict[str, Any]] = []
    targets: dict[str, Path] = {}
    if options.probe or options.cover:
        asked.append({"op": "probe", "name": "probe", "cover_art": options.cover is not None})
        if options.cover:
            # It is what it is, whatever the name that was asked for says.
            targets |= {"probe.jpg": options.cover, "probe.png": options.cover}
    if options.loudness or options.loudness_series or options.replay_gain:
        loudness = {"op": "loudness", "name": "loudness", "replay_gain": options.replay_gain}
        loudness["dual_mono"] = options.dual_mono
        if options.loudness_series:
            suffix = _suffix(options.loudness_series, "loudness-series", (".csv", ".json"))
            loudness["series"] = [suffix[1:]]
            targets[f"loudness{suffix}"] = options.loudness_series
        asked.append(loudness)
    if options.acx:
        asked.append({"op": "acx", "name": "acx"})
    return asked, targets


def _writing(options: argparse.Namespace) -> tuple[tuple[str, dict[str, dict[str, Any]], dict[str, Any]], ...]:
    """Each operation that writes a file: what the file's extension says, and the parameters."""
    drawing = _given(
        samples_per_pixel=options.samples_per_pixel,
        pixels_per_second=options.pixels_per_second,
        bits=options.bits,
        version=options.data_version,
        split_channels=options.split_channels or None,
        picture=_given(
            wave_color=options.wave_color,
            background_color=options.background_color,
            fit_to_peak=options.fit_to_peak,
            **options.size,
        ),
    )
    picture = _given(frequency_scale=options.scale, colors=options.colors, axes=options.axes or None, **options.size)
    quiet = _given(threshold_dbfs=options.threshold, min_seconds=options.min_seconds)
    encoding = _given(
        bitrate_kbps=options.bitrate,
        quality=options.quality,
        rate_control=options.rate_control,
        bit_depth=options.bit_depth,
        compression_level=options.compression_level,
        sample_rate=options.rate,
        channels=options.channels,
        tags=dict(map(_pair, options.tag)),
        keep_tags=not options.no_tags,
        keep_cover=not options.no_cover,
    )
    whole = {**encoding, "keep_chapters": not options.no_chapters, "loudness_tags": options.loudness_tags}
    level = _given(target_lufs=options.target, true_peak_dbtp=options.ceiling, dual_mono=options.dual_mono)
    audio = {suffix: {"format": audio_format} for suffix, audio_format in _FORMATS.items()}
    if options.alac:
        audio[".m4a"] = {"format": "alac"}
    return (
        ("waveform", {f".{form}": {"formats": [form]} for form in WaveformFormat}, drawing),
        ("spectrogram", {".png": {}}, picture),
        ("silence", {".json": {}}, quiet),
        ("transcode", audio, whole),
        ("normalize", audio, {**whole, **level, "album": list(cli_editing.album(options))}),
        ("split", audio, {**encoding, **cli_editing.cuts(options)}),
    )


def _extras(options: argparse.Namespace, operations: tuple[AnyOperation, ...]) -> dict[str, Extra]:
    extras = {name: Extra(Path(path), Path(path).name) for name, path in map(_pair, options.input)}
    extras |= cli_editing.extras(options)
    if missing := input_names(operations) - extras.keys():
        raise ValueError(f"further inputs are missing, see --input: {', '.join(sorted(missing))}")
    return extras


def _suffix(path: Path, option: str, known: Collection[str]) -> str:
    suffix = path.suffix.lower()
    if suffix not in known:
        raise ValueError(f"{path.name}: --{option} writes {', '.join(sorted(known))}")
    return suffix


def _size(text: str) -> dict[str, int]:
    width, height = text.lower().split("x")
    return {"width": int(width), "height": int(height)}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text}: a name, =, and what it stands for are wanted here")
    return name, value


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _run(
    options: argparse.Namespace,
    operations: tuple[AnyOperation, ...],
    targets: Mapping[str, Path],
    extras: Mapping[str, Extra],
) -> Report:
    show_progress = not options.quiet and sys.stderr.isatty()
    with tempfile.TemporaryDirectory(prefix="wavemill-") as directory:
        try:
            report = process(
                options.file,
                operations,
                Path(directory),
                on_progress=_draw_progress if show_progress else lambda fraction: None,
                source_name=options.file.name,
                extras=extras,
            )
        finally:
            if show_progress:
                print(file=sys.stderr)
        for artifact in report.artifacts:
            target = targets.get(artifact.name) or _beside(artifact.name, targets) or options.output / artifact.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(artifact.path, target)
    return report


def _beside(artifact: str, targets: Mapping[str, Path]) -> Path | None:
    """Where one of the files of an operation that writes several goes, if it was said where one of them goes."""
    for name, target in targets.items():
        if artifact.startswith((f"{Path(name).stem}-", f"{Path(name).stem}.")):
            return target.with_name(target.stem + artifact.removeprefix(Path(name).stem))
    return None


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
