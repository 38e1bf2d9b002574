"""Edits, parts and albums on the command line."""

import argparse
import json
from pathlib import Path
from typing import Any

from services.worker.audio.engine import Extra
from shared.schema.edits import FadeCurve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of all that. Those of edits share a list, which keeps their order."""
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
    parts = parser.add_argument_group("parts and albums")
    parts.add_argument("--every", type=float, metavar="S", help="length of the parts of --split")
    parts.add_argument("--at", type=_numbers, metavar="S,S", help="where they begin")
    parts.add_argument("--pause", type=float, metavar="S", help="or silence that they are cut at (1.5)")
    parts.add_argument(
        "--album", type=Path, action="append", default=[], metavar="FILE", help="another track for --normalize"
    )


def edited(operation: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """An operation with the edits before its own; a probe is always of the file as it is."""
    if operation["op"] == "probe":
        return operation
    return {**operation, "edits": [*_edits(options), *operation.get("edits", ())]}


def extras(options: argparse.Namespace) -> dict[str, Extra]:
    """The files that edits and albums name, as further inputs."""
    return {name: Extra(path, path.name) for name, path in {**_joined(options), **album(options)}.items()}


def cuts(options: argparse.Namespace) -> dict[str, Any]:
    """Where a split cuts."""
    if options.every is not None:
        return {"every_seconds": options.every}
    if options.at is not None:
        return {"at_seconds": options.at}
    silence = {"threshold_dbfs": options.threshold, "min_seconds": options.pause}
    return {"at_silence": {name: value for name, value in silence.items() if value is not None}}


def album(options: argparse.Namespace) -> dict[str, Path]:
    """The further tracks of an album."""
    return {f"track-{number}": path for number, path in enumerate(options.album, start=2)}


def _edits(options: argparse.Namespace) -> list[dict[str, Any]]:
    shared: dict[str, dict[str, Any]] = {
        "fade": {"curve": options.curve},
        "intro": {"crossfade_seconds": options.crossfade},
        "outro": {"crossfade_seconds": options.crossfade},
        "trim_silence": {"threshold_dbfs": options.threshold},
        "remove_silence": {"threshold_dbfs": options.threshold},
    }
    names = {path: name for name, path in _joined(options).items()}
    asked = []
    for edit in options.edits:
        given = {name: value for name, value in shared.get(edit["edit"], {}).items() if value is not None}
        complete = {**given, **edit}
        if isinstance(path := edit.get("input"), Path):
            complete["input"] = names[path]
        asked.append(complete)
    return asked


def _joined(options: argparse.Namespace) -> dict[str, Path]:
    """The files that edits put in front of or behind the audio, by name."""
    paths = dict.fromkeys(path for edit in options.edits if isinstance(path := edit.get("input"), Path))
    return {f"joined-{number}": path for number, path in enumerate(paths, start=1)}


def _trim(text: str) -> dict[str, Any]:
    start, _, end = text.partition(":")
    return {"edit": "trim", "start_seconds": start or 0, "end_seconds": end or None}


def _numbers(text: str) -> list[str]:
    return text.split(",")
