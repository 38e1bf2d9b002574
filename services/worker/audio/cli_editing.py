"""Edits, splits, albums and presets on the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

from services.worker.audio.engine import Extra
from shared.schema.edits import FadeCurve
from shared.schema.operations import AnyOperation, Normalize
from shared.schema.presets import PRESETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `edits`, `cuts` and `presets` look at. Those of edits share a list, which keeps their order."""
    edits = parser.add_argument_group("edits of what is measured and written, in the order given")
    for option, convert, metavar, about in (
        ("--trim", _trim, "FROM:TO", "a part, in seconds; either may be left out"),
        ("--fade-in", lambda text: {"edit": "fade", "in_seconds": text}, "S", "rise from silence"),
        ("--fade-out", lambda text: {"edit": "fade", "out_seconds": text}, "S", "fall into silence"),
        ("--intro", lambda text: {"edit": "intro", "input": Path(text)}, "FILE", "another file in front"),
        ("--outro", lambda text: {"edit": "outro", "input": Path(text)}, "FILE", "another file behind"),
        ("--high-pass", lambda text: {"edit": "high_pass", "frequency_hz": text}, "HZ", "filter rumble"),
        ("--denoise", lambda text: {"edit": "denoise", "reduction_db": text}, "DB", "turn steady noise down"),
        ("--edit", json.loads, "JSON", "any edit, as a job has it"),
    ):
        edits.add_argument(option, dest="edits", type=convert, action="append", default=[], metavar=metavar, help=about)
    for option, edit, about in (
        ("--trim-silence", "trim_silence", "cut silence off at both ends"),
        ("--remove-silence", "remove_silence", "shorten long silences between sounds"),
    ):
        edits.add_argument(option, dest="edits", action="append_const", const={"edit": edit}, help=about)
    edits.add_argument("--crossfade", type=float, metavar="S", help="into an intro and an outro (0)")
    edits.add_argument("--curve", choices=[curve.value for curve in FadeCurve], help="of fades (quarter_sine)")
    parts = parser.add_argument_group("parts, albums and presets")
    parts.add_argument(
        "--split", type=Path, action="append", default=[], metavar="OUT", help="parts: OUT-001, OUT-002 and so on"
    )
    parts.add_argument("--every", type=float, metavar="S", help="length of parts")
    parts.add_argument("--at", type=_numbers, metavar="S,S", help="where parts begin")
    parts.add_argument("--pause", type=float, metavar="S", help="silence that parts are cut at (1.5)")
    parts.add_argument(
        "--album", type=Path, action="append", default=[], metavar="FILE", help="another track for --normalize"
    )
    parts.add_argument(
        "--preset",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "OUT"),
        help=f"{', '.join(PRESETS)}: OUT is the file",
    )


def edits(options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Extra]]:
    """The edits, and the files that they name as further inputs."""
    shared: dict[str, dict[str, Any]] = {
        "fade": {"curve": options.curve},
        "intro": {"crossfade_seconds": options.crossfade},
        "outro": {"crossfade_seconds": options.crossfade},
        "trim_silence": {"threshold_dbfs": options.threshold},
        "remove_silence": {"threshold_dbfs": options.threshold},
    }
    extras: dict[str, Extra] = {}
    asked = []
    for edit in options.edits:
        given = {name: value for name, value in shared.get(edit["edit"], {}).items() if value is not None}
        complete = {**given, **edit}
        if isinstance(path := edit.get("input"), Path):
            complete["input"] = f"input-{len(extras) + 1}"
            extras[complete["input"]] = Extra(path, path.name)
        asked.append(complete)
    return asked, extras


def edited(operation: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """An operation with edits; a probe is always of the file as it is."""
    return operation if operation["op"] == "probe" else {**operation, "edits": edits}


def cuts(options: argparse.Namespace) -> dict[str, Any]:
    """Where a split cuts."""
    if options.every is not None:
        return {"every_seconds": options.every}
    if options.at is not None:
        return {"at_seconds": options.at}
    silence = {"threshold_dbfs": options.threshold, "min_seconds": options.pause}
    return {"at_silence": {name: value for name, value in silence.items() if value is not None}}


def album(options: argparse.Namespace) -> dict[str, Extra]:
    """The further tracks of an album."""
    return {f"track-{number}": Extra(path, path.name) for number, path in enumerate(options.album, start=2)}


def presets(options: argparse.Namespace, edits: list[dict[str, Any]]) -> tuple[list[AnyOperation], dict[str, Path]]:
    """The operations of presets, and where what they write shall go. Edits come before those of the preset.

    Raises:
        ValueError: there is no such preset, or it writes another format.
    """
    asked: list[AnyOperation] = []
    targets: dict[str, Path] = {}
    for name, out in options.preset:
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name}; there are {', '.join(PRESETS)}")
        for operation in PRESETS[name].operations:
            if isinstance(operation, Normalize):
                own = [edit.model_dump() for edit in operation.edits]
                operation = Normalize.model_validate({**operation.model_dump(), "edits": [*edits, *own]})  # noqa: PLW2901
            asked.append(operation)
            targets[f"{operation.name}{Path(out).suffix.lower()}"] = Path(out)
    return asked, targets


def _trim(text: str) -> dict[str, Any]:
    start, _, end = text.partition(":")
    return {"edit": "trim", "start_seconds": start or 0, "end_seconds": end or None}


def _numbers(text: str) -> list[str]:
    return text.split(",")
