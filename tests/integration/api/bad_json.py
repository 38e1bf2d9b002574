"""JSON bodies that are wrong: no JSON, of other types than they should be, or of values that do not go together."""

import json
from typing import Any

from tests.integration.api.bad_input import PROBE, UNKNOWN, UPLOAD, Bad, job

_INVALID = "invalid-request"


def _text(name: str, body: bytes | str, at: str | None = "#") -> Bad:
    return Bad(name, "POST /api/jobs", 422, _INVALID, body, at=at)


def _operation(what: str, at: str, /, **parameters: Any) -> Bad:
    return Bad(f"operation: {what}", "POST /api/jobs", 422, _INVALID, job(parameters), at=f"#/operations/0{at}")


def _option(what: str, at: str, /, **options: Any) -> Bad:
    return Bad(f"option: {what}", "POST /api/jobs", 422, _INVALID, job(**options), at=at)


def _input(name: str, value: Any, at: str) -> Bad:
    return Bad(f"input: {name}", "POST /api/jobs", 422, _INVALID, job(input=value), at=at)


def _raw_number(number: str) -> str:
    return job({"op": "normalize", "target_lufs": 0}).replace('"target_lufs": 0', f'"target_lufs": {number}')


NO_JSON = [
    _text("nothing", b""),
    _text("an open brace", "{"),
    _text("a comma at the end", PROBE[:-1] + ",}"),
    _text("single quotes", "{'operations': []}"),
    _text("a comment", "{} // no"),
    _text("two documents", "{}{}"),
    _text("UTF-16", PROBE.encode("utf-16")),
    _text("a byte that is no UTF-8", b'{"preset": "\xff"}', at=None),
    _text("half a surrogate pair", '{"preset": "\\ud800"}', at=None),
    _text("a NUL behind it", PROBE.encode() + b"\0"),
    _text("a control character in a string", '{"preset": "a\nb"}', at=None),
    _text("10,000 brackets", "[" * 10_000),
    _text("10,000 brackets and their ends", "[" * 10_000 + "]" * 10_000),
    _text("5,000 objects in each other", '{"a":' * 5000 + "1" + "}" * 5000),
    _text("deep within an override", job(preset="podcast", overrides="@").replace('"@"', "[" * 500 + "]" * 500), None),
    *(_text(f"a whole body that is {body}", body) for body in ("[]", '"text"', "17", "null", "true")),
]
NUMBERS = [
    Bad(f"number: {text}", "POST /api/jobs", 422, _INVALID, _raw_number(text), at=at)
    for text, at in (
        ("NaN", "#/operations/0/target_lufs"),
        ("Infinity", "#/operations/0/target_lufs"),
        ("-Infinity", "#/operations/0/target_lufs"),
        ("1e999", "#/operations/0/target_lufs"),
        ("-71", "#/operations/0/target_lufs"),
        ("0x10", "#"),
        ("1_000", "#"),
        ("--1", "#"),
        ('"loud"', "#/operations/0/target_lufs"),
        ('"-16"', "#/operations/0/target_lufs"),
        ("false", "#/operations/0/target_lufs"),
        ("[-16]", "#/operations/0/target_lufs"),
        ("{}", "#/operations/0/target_lufs"),
        ("null", "#/operations/0/target_lufs"),
    )
]
SHAPES = [
    _option("no operations", "#/operations", operations=None),
    _option("an empty list of operations", "#/operations", operations=[]),
    _option("operations as an object", "#/operations", operations={"op": "probe"}),
    _option("operations as a string", "#/operations", operations="probe"),
    _option("an operation that is null", "#/operations/0", operations=[None]),
    _option("an operation that is a string", "#/operations/0", operations=["probe"]),
    _option("33 operations", "#/operations", operations=[{"op": "probe"}] * 33),
    _option("two operations of a name", "#/operations", operations=[{"op": "probe", "name": "a"}] * 2),
    _option("a field that is not known", "#/callback", callback="http://127.0.0.1/"),
    _option("a field of the database", "#/status", status="succeeded"),
    _operation("no op", "", name="a"),
    _operation("an op that is not known", "", op="rm"),
    _operation("an op that is a number", "", op=1),
    _operation("an op that is a list", "", op=["probe"]),
    _operation("an op of 900,000 characters", "", op="x" * 900_000),
    _operation("a parameter that is not known", "/sudo", op="probe", sudo=True),
    *(
        _operation(f"the name {name[:20]!r}", "/name", op="probe", name=name)
        for name in ("", "A", "a b", "../x", "a/b", "a\\b", "..", ".", "-a", "a-", "a\0", "a\r\nX: y", "ä", "x" * 65)
    ),
]
PAIRS = [
    _operation("no format", "/format", op="transcode"),
    _operation("a format that is not known", "/format", op="transcode", format="exe"),
    _operation("flac with a bit rate", "", op="transcode", format="flac", bitrate_kbps=64),
    _operation("mp3 with 6 channels", "", op="transcode", format="mp3", channels=6),
    _operation("mp3 of 400 kbit/s", "", op="transcode", format="mp3", bitrate_kbps=400),
    _operation("opus at 44.1 kHz", "", op="transcode", format="opus", sample_rate=44100),
    _operation("9 channels", "/channels", op="transcode", format="wav", channels=9),
    _operation("0 channels", "/channels", op="transcode", format="wav", channels=0),
    _operation("a bit rate of 64.5", "/bitrate_kbps", op="transcode", format="mp3", bitrate_kbps=64.5),
    _operation("a bit rate beyond all integers", "/bitrate_kbps", op="transcode", format="mp3", bitrate_kbps=10**400),
    _operation("true channels", "/channels", op="transcode", format="wav", channels=True),
    _operation("channels as a text", "/channels", op="transcode", format="wav", channels="2"),
    _operation("a number for a truth", "/keep_tags", op="transcode", format="wav", keep_tags=0),
    _operation("a text for a truth", "/keep_tags", op="transcode", format="wav", keep_tags="yes"),
    _operation("vorbis", "/format", op="transcode", format="vorbis"),
    _operation("wav with loudness tags", "", op="transcode", format="wav", loudness_tags=True),
    _operation("mp3 with a bit depth", "", op="transcode", format="mp3", bit_depth=24),
    _operation("mp3 with a compression level", "", op="transcode", format="mp3", compression_level=5),
    _operation("quality and a bit rate", "", op="transcode", format="mp3", quality=2, bitrate_kbps=128),
    _operation("a spectrogram upside down", "", op="spectrogram", min_hz=2000, max_hz=1000),
    _operation("a log axis from 0", "", op="spectrogram", frequency_scale="log", min_hz=0),
    _operation("a picture of a million pixels", "/width", op="spectrogram", width=1_000_000),
    _operation("a waveform of nothing", "/formats", op="waveform", formats=[]),
    _operation("a split without a way", "", op="split"),
    _operation("a split in two ways", "", op="split", every_seconds=1, at_seconds=[1]),
    _operation(
        "a trim with two ends",
        "/edits/0",
        op="loudness",
        edits=[{"edit": "trim", "end_seconds": 2, "duration_seconds": 1}],
    ),
    _operation("a fade of nothing", "/edits/0", op="loudness", edits=[{"edit": "fade"}]),
    _operation("an edit that is not known", "/edits/0", op="loudness", edits=[{"edit": "autotune"}]),
    _operation("17 edits", "/edits", op="loudness", edits=[{"edit": "high_pass"}] * 17),
    _operation("a jingle from a path", "/edits/0/input", op="loudness", edits=[{"edit": "intro", "input": "../../x"}]),
    _operation("a silence louder than full scale", "/threshold_dbfs", op="silence", threshold_dbfs=1),
]
INPUTS = [
    Bad("input: none", "POST /api/jobs", 422, _INVALID, PROBE, at="#/input"),
    _input("null", None, "#/input"),
    _input("a string", UPLOAD, "#/input"),
    _input("an id that is none", {"type": "upload", "id": "17"}, "#/input/id"),
    _input("an id that is a path", {"type": "upload", "id": "../../etc/passwd"}, "#/input/id"),
    _input("an id that is a number", {"type": "upload", "id": 17}, "#/input/id"),
    _input("an id that is a list", {"type": "upload", "id": [UPLOAD]}, "#/input/id"),
    _input("no id", {"type": "upload"}, "#/input/id"),
    _input("an upload that is not there", {"type": "upload", "id": UNKNOWN}, "#/input/id"),
    _input("a field that is not known", {"type": "upload", "id": UPLOAD, "sha256": "00"}, "#/input/sha256"),
]
OPTIONS = [
    _option("metadata of numbers", "#/metadata/a", metadata={"a": 1}),
    _option("metadata in metadata", "#/metadata/a", metadata={"a": {"b": "c"}}),
    _option("a key of metadata with a quote", '#/metadata/a"b', metadata={'a"b': "1"}),
    _option("a key of metadata that is a pointer", "#/metadata/a~1b", metadata={"a/b": "1"}),
    _option("metadata of 900,000 characters", "#/metadata/a", metadata={"a": "x" * 900_000}),
    _option("a NUL in metadata", "#/metadata/a", metadata={"a": "x\0"}),
    _option("51 pairs of metadata", "#/metadata", metadata={f"k{n}": "" for n in range(51)}),
    _option("a time without a zone", "#/not_before", not_before="2030-01-01T00:00:00"),
    _option("seconds for a time", "#/not_before", not_before="1900000000.5"),
    _option("a time that is none", "#/not_before", not_before="soon"),
    _option("a time at the end of the calendar", "#/not_before", not_before="9999-12-31T23:59:59Z"),
    _option("a month with 32 days", "#/not_before", not_before="2030-01-32T00:00:00Z"),
    _option("results for a second", "#/expires_in", expires_in=1),
    _option("results for ever", "#/expires_in", expires_in=10**12),
    _option("a priority that is not known", "#/priority", priority="root"),
    _option("a preset that is not there", "#/preset", preset="no-such"),
    _option("a preset of 900,000 characters", "#/preset", preset="x" * 900_000),
    _option("a preset and operations", "#/operations", preset="podcast", operations=[{"op": "probe"}]),
    _option("overrides of nothing", "#/overrides", overrides={"probe": {}}),
    _option("an override of what the preset has not", "#/overrides/x", preset="podcast", overrides={"x": {}}),
    _option(
        "an override of the op", "#/overrides/podcast/op", preset="podcast", overrides={"podcast": {"op": "probe"}}
    ),
    _option(
        "an override that cannot be",
        "#/overrides/podcast",
        preset="podcast",
        overrides={"podcast": {"format": "wav", "quality": 1}},
    ),
]
OTHER_ROUTES = [
    Bad("validate: no JSON", "POST /api/jobs:validate", 422, _INVALID, "{", at="#"),
    Bad("validate: an input", "POST /api/jobs:validate", 422, _INVALID, job(), at="#/input"),
    Bad(
        "validate: a form",
        "POST /api/jobs:validate",
        415,
        "unsupported-media-type",
        headers={"Content-Type": "multipart/form-data"},
    ),
    Bad("preset: no JSON", "PUT /api/presets/a", 422, _INVALID, "{", at="#"),
    Bad("preset: nothing in it", "PUT /api/presets/a", 422, _INVALID, "{}", at="#/operations"),
    Bad(
        "preset: an operation that is not known",
        "PUT /api/presets/a",
        422,
        _INVALID,
        '{"operations": [{"op": "rm"}]}',
        at="#/operations/0",
    ),
    Bad("preset: a built-in one", "PUT /api/presets/podcast", 409, "preset-built-in", PROBE),
    Bad("preset: a name that is a path", "PUT /api/presets/%2e%2e", 422, _INVALID, PROBE, at="#/name"),
    Bad("preset: a name with a NUL", "PUT /api/presets/a%00", 422, _INVALID, PROBE, at="#/name"),
    Bad("preset: another version", "PUT /api/presets/a", 412, "changed", PROBE, headers={"If-Match": '"7"'}),
    Bad(
        "preset: a text",
        "PUT /api/presets/a",
        415,
        "unsupported-media-type",
        PROBE,
        headers={"Content-Type": "text/plain"},
    ),
    Bad("preset: gone before it was there", "DELETE /api/presets/a", 404, "preset-not-found"),
    # Refused by what it says, before it is sent.
    Bad(
        "a spec that is larger than allowed", "POST /api/jobs", 413, "too-large", headers={"Content-Length": "1048577"}
    ),
    *(
        Bad(
            f"Content-Type {kind}",
            "POST /api/jobs",
            415,
            "unsupported-media-type",
            json.dumps({}),
            {"Content-Type": kind},
        )
        for kind in (
            None,
            "",
            "text/plain",
            "application/xml",
            "application/jsonp",
            "json",
            "application/x-www-form-urlencoded",
        )
    ),
]

ROWS = [*NO_JSON, *NUMBERS, *SHAPES, *PAIRS, *INPUTS, *OPTIONS, *OTHER_ROUTES]
