"""Requests of those who may not, or not so: keys, others' things, Idempotency-Key, tus, and URLs that lead inside."""

import json
from collections.abc import Mapping

from tests.integration.api.bad_input import PROBE, UNKNOWN, UPLOAD, Bad, job

_INVALID = "invalid-request"
# Secrets and ids that the place of the test has.
READER, EXPIRED, REVOKED = "@reader@", "@expired@", "@revoked@"
FOREIGN_JOB, FOREIGN_UPLOAD, USED = "@foreign-job@", "@foreign-upload@", "@used@"
TUS = "@tus@"


def _key(name: str, authorization: str | None, status: int = 401, problem: str = "unauthorized") -> Bad:
    return Bad(f"key: {name}", "POST /api/jobs", status, problem, job(), {"Authorization": authorization})


KEYS = [
    _key("none", None),
    _key("an empty one", "Bearer"),
    _key("an expired one", f"Bearer {EXPIRED}"),
    _key("a revoked one", f"Bearer {REVOKED}"),
    _key("one that never was", f"Bearer wm_{'A' * 43}"),
    _key("of another scheme", f"Basic {READER}"),
    _key("without a scheme", READER),
    _key("of 60,000 characters", f"Bearer {'A' * 60_000}"),
    _key("with another behind it", f"Bearer {READER}, Bearer {READER}"),
    _key("that may only read", f"Bearer {READER}", 403, "scope-missing"),
    Bad("key: one that may make none", "POST /api/keys", 403, "scope-missing", '{"name": "mine"}'),
    Bad("key: one that may not list them", "GET /api/keys", 403, "scope-missing"),
    Bad(
        "key: a preset by who may only read",
        "PUT /api/presets/a",
        403,
        "scope-missing",
        PROBE,
        {"Authorization": f"Bearer {READER}"},
    ),
    *(
        Bad(f"another's job: {method} {more}", f"{method} /api/jobs/{FOREIGN_JOB}{more}", 404, "job-not-found")
        for method, more in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("GET", "/events"),
            ("GET", "/artifacts/a.mp3"),
        )
    ),
    Bad("another's upload", "POST /api/jobs", 422, _INVALID, job(input={"id": FOREIGN_UPLOAD}), at="#/input/id"),
    Bad(
        "another's upload beside one's own",
        "POST /api/jobs",
        422,
        _INVALID,
        job(inputs={"jingle": {"id": FOREIGN_UPLOAD}}),
        at="#/inputs/jingle/id",
    ),
    Bad(
        "another's artifact",
        "POST /api/jobs",
        422,
        _INVALID,
        job(input={"type": "artifact", "job_id": FOREIGN_JOB, "name": "a.mp3"}),
        at="#/input/name",
    ),
    Bad(
        "an artifact whose name is a path",
        "POST /api/jobs",
        422,
        _INVALID,
        job(input={"type": "artifact", "job_id": UNKNOWN, "name": "../../a.mp3"}),
        at="#/input/name",
    ),
]


def _once(name: str, key: str, status: int, problem: str, body: str | None = None) -> Bad:
    return Bad(f"Idempotency-Key: {name}", "POST /api/jobs", status, problem, body or job(), {"Idempotency-Key": key})


IDEMPOTENCY = [
    _once("empty", "", 400, "malformed-idempotency-key"),
    _once("empty between quotes", '""', 400, "malformed-idempotency-key"),
    _once("256 characters", "a" * 256, 400, "malformed-idempotency-key"),
    _once("a quote that does not end", '"abc', 400, "malformed-idempotency-key"),
    _once("a space", "a b", 400, "malformed-idempotency-key"),
    _once("a byte that is no ASCII", "\xff", 400, "malformed-idempotency-key"),
    _once("of another body", USED, 422, "idempotency-key-reused", job({"op": "loudness"})),
    _once("of another form", USED, 422, "idempotency-key-reused", job(priority="high")),
]


def _tus(
    name: str,
    request: str,
    status: int,
    problem: str,
    headers: Mapping[str, str | None] | None = None,
    *,
    body: bytes = b"",
) -> Bad:
    kind = "application/offset+octet-stream" if request.startswith("PATCH") else None
    usual: dict[str, str | None] = {"Tus-Resumable": "1.0.0", "Content-Type": kind}
    return Bad(f"tus: {name}", request.replace("*", TUS), status, problem, body, {**usual, **(headers or {})})


_NEW, _SEND = "POST /api/uploads/tus", "PATCH /api/uploads/tus/*"
TUS_ROWS = [
    _tus("no version", _NEW, 412, "tus-version", {"Tus-Resumable": None, "Upload-Length": "5"}),
    _tus("neither key nor version", _NEW, 401, "unauthorized", {"Authorization": None, "Tus-Resumable": None}),
    _tus("a POST in no other's place", "POST /api/uploads/tus/*", 405, "method-not-allowed", {"Tus-Resumable": None}),
    _tus("another version", _NEW, 412, "tus-version", {"Tus-Resumable": "0.2.2", "Upload-Length": "5"}),
    _tus("no length", _NEW, 400, "bad-header"),
    _tus("a length that is negative", _NEW, 400, "bad-header", {"Upload-Length": "-1"}),
    _tus("a length that is no number", _NEW, 400, "bad-header", {"Upload-Length": "five"}),
    _tus("a length beyond all disks", _NEW, 400, "bad-header", {"Upload-Length": "9" * 30}),
    _tus("a length of a terabyte", _NEW, 413, "too-large", {"Upload-Length": str(10**12)}),
    _tus("a length that is not known yet", _NEW, 400, "bad-header", {"Upload-Defer-Length": "1"}),
    _tus(
        "metadata that is no base64", _NEW, 400, "bad-header", {"Upload-Length": "5", "Upload-Metadata": "filename ???"}
    ),
    _tus(
        "metadata of 5,000 characters",
        _NEW,
        400,
        "bad-header",
        {"Upload-Length": "5", "Upload-Metadata": "a " + "A" * 5000},
    ),
    _tus("a checksum of no algorithm", _NEW, 400, "bad-header", {"Upload-Length": "5", "Upload-Checksum": "crc1 AAAA"}),
    _tus(
        "a beginning of another type",
        _NEW,
        415,
        "unsupported-media-type",
        {"Upload-Length": "5", "Content-Type": "text/plain"},
    ),
    _tus(
        "an upload that is not there",
        f"PATCH /api/uploads/tus/{UNKNOWN}",
        404,
        "upload-not-found",
        {"Upload-Offset": "0"},
    ),
    _tus("an id that is none", "PATCH /api/uploads/tus/17", 422, _INVALID, {"Upload-Offset": "0"}),
    _tus("another's address for one's own", f"DELETE /api/uploads/tus/{UPLOAD}", 404, "upload-not-found"),
    _tus("no offset", _SEND, 400, "bad-header", {}, body=b"x"),
    _tus("an offset that is negative", _SEND, 400, "bad-header", {"Upload-Offset": "-1"}, body=b"x"),
    _tus("an offset that is no number", _SEND, 400, "bad-header", {"Upload-Offset": "1e1"}, body=b"x"),
    _tus("an offset before what has come", _SEND, 409, "wrong-offset", {"Upload-Offset": "0"}, body=b"x"),
    _tus("an offset behind what has come", _SEND, 409, "wrong-offset", {"Upload-Offset": "4"}, body=b"x"),
    _tus("more than its length", _SEND, 413, "too-large", {"Upload-Offset": "2"}, body=b"xxxx"),
    _tus(
        "bytes of another type",
        _SEND,
        415,
        "unsupported-media-type",
        {"Upload-Offset": "2", "Content-Type": "text/plain"},
        body=b"x",
    ),
    _tus(
        "a checksum that is cut off",
        _SEND,
        400,
        "bad-header",
        {"Upload-Offset": "2", "Upload-Checksum": "sha1 AAAA"},
        body=b"x",
    ),
    _tus(
        "another checksum",
        _SEND,
        460,
        "checksum-mismatch",
        {"Upload-Offset": "2", "Upload-Checksum": "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        body=b"x",
    ),
    _tus(
        "a method in disguise",
        "POST /api/uploads/tus/*",
        405,
        "method-not-allowed",
        {"X-HTTP-Method-Override": "TRACE"},
    ),
]
INSIDE = (
    # One address in all its spellings (RFC 3986 has one; inet_aton and browsers know more).
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0x7f.1",
    "127.000.000.001", "127.255.255.254", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]",
    "%31%32%37.0.0.1", "\N{FULLWIDTH DIGIT ONE}27.0.0.1", "127\N{IDEOGRAPHIC FULL STOP}0.0.1",
    # Networks within, and the addresses at which clouds tell secrets.
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0xc0a80101", "100.64.0.1",
    "100.100.100.200", "169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[fe80::1]",
    "192.0.0.192", "168.63.129.16", "198.18.0.1", "192.0.2.1", "203.0.113.1", "224.0.0.1", "255.255.255.255",
    "240.0.0.1", "[fc00::1]", "[ff02::1]", "[2001:db8::1]", "[2001::1]",
)  # fmt: skip
_NO_URL = (
    "file:///etc/passwd", "gopher://files.example/1", "ftp://files.example/a.wav", "data:audio/wav;base64,AAAA",
    "javascript:alert(1)", "//files.example/a.wav", "/etc/passwd", "a.wav", "", "http://",
    "http://files.example:99999/", "http://[::1", "http://user:secret@files.example/a.wav",
    "http://files.example@127.0.0.1/", "https://files.example/" + "a" * 3000, "concat:a.wav|b.wav", "http://a b/",
)  # fmt: skip


def _url(url: str) -> Bad:
    body = job(input={"type": "url", "url": url})
    return Bad(f"URL: {url[:60]!a}", "POST /api/jobs", 422, _INVALID, body, at="#/input/url")


URLS = [
    *(_url(f"http://{host}/a.wav") for host in INSIDE),
    *(_url(url) for url in _NO_URL),
    Bad(
        "URL: of a jingle, inside",
        "POST /api/jobs",
        422,
        _INVALID,
        job(inputs={"jingle": {"type": "url", "url": "http://127.0.0.1/"}}),
        at="#/inputs/jingle/url",
    ),
]


def _target(host: str) -> str:
    return json.dumps({"url": f"http://{host}/"})


WEBHOOKS = [
    *(
        Bad(f"webhook: {url[:40]!a}", "POST /api/webhooks", 422, _INVALID, json.dumps({"url": url}), at="#/url")
        for url in (
            *("file:///etc/passwd", "gopher://a/", "a", "", "http://", "http://user:secret@a.example/", "http://a b/"),
            "http://a/\r\nX: y",
        )
    ),
    *(
        Bad(f"webhook: {host!a}, inside", "POST /api/webhooks", 422, _INVALID, _target(host), at="#/url")
        for host in INSIDE
    ),
    Bad(
        "webhook: of a job, inside",
        "POST /api/jobs",
        422,
        _INVALID,
        job(webhook={"url": "http://169.254.169.254/"}),
        at="#/webhook/url",
    ),
    Bad(
        "webhook: of a batch, inside",
        "POST /api/batches",
        422,
        _INVALID,
        json.dumps({"jobs": [json.loads(job())], "webhook": {"url": "http://127.1/"}}),
        at="#/webhook/url",
    ),
    Bad(
        "webhook: of a batch by lines, inside",
        "POST /api/batches",
        422,
        _INVALID,
        json.dumps({"batch": {"webhook": {"url": "http://[::1]/"}}}) + "\n" + job(),
        {"Content-Type": "application/x-ndjson"},
        at="#/0/batch/webhook/url",
    ),
    Bad("webhook: no URL", "POST /api/webhooks", 422, _INVALID, "{}", at="#/url"),
    Bad(
        "webhook: a secret that all know",
        "POST /api/webhooks",
        422,
        _INVALID,
        '{"url": "https://a.example/", "secret": "x"}',
        at="#/secret",
    ),
    Bad("webhook: one that is not there", f"GET /api/webhooks/{UNKNOWN}", 404, "webhook-not-found"),
    Bad("batch: no jobs", "POST /api/batches", 422, _INVALID, '{"jobs": []}', at="#/jobs"),
    Bad(
        "batch: a job that is wrong",
        "POST /api/batches",
        422,
        _INVALID,
        json.dumps({"jobs": [json.loads(job()), json.loads(job(priority="root"))]}),
        at="#/jobs/1/priority",
    ),
    Bad(
        "batch: a form",
        "POST /api/batches",
        415,
        "unsupported-media-type",
        b"",
        {"Content-Type": "multipart/form-data"},
    ),
    Bad("batch: one that is not there", f"GET /api/batches/{UNKNOWN}", 404, "batch-not-found"),
]

ROWS = [*KEYS, *IDEMPOTENCY, *TUS_ROWS, *URLS, *WEBHOOKS]
