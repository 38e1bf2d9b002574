"""Requests that are wrong before anybody reads their JSON: forms, lengths, headers, paths, methods, states."""

from tests.integration.api.bad_input import (
    BOUNDARY,
    ENDED_JOB,
    FORM,
    KEY,
    PROBE,
    QUEUED_JOB,
    UNKNOWN,
    Bad,
    form,
    part,
)

_INVALID = "invalid-request"
_FILE = part("file", b"audio", filename="a.wav")
_SPEC = part("spec", PROBE)
# The server, not the application, answers what is no HTTP.
_HTTP = "http"


def _form(
    name: str, status: int, body: bytes, at: str | None = None, *, kind: str = FORM, path: str = "/api/jobs"
) -> Bad:
    problem = {400: "malformed-body", 422: _INVALID, 413: "too-large"}[status]
    return Bad(f"form: {name}", f"POST {path}", status, problem, body, {"Content-Type": kind}, at)


# What is too large ends with what makes it so: a client that still sends might not hear the answer.
FORMS = [
    _form("no boundary", 400, form(_FILE, _SPEC), kind="multipart/form-data"),
    _form("an empty boundary", 400, form(_FILE, _SPEC), kind="multipart/form-data; boundary="),
    _form(
        "a boundary of 10,000 characters", 400, form(_FILE, _SPEC), kind=f"multipart/form-data; boundary={'b' * 10_000}"
    ),
    _form("another boundary", 400, form(_FILE, _SPEC), kind="multipart/form-data; boundary=other"),
    _form("nothing", 400, b""),
    _form("JSON", 400, PROBE.encode()),
    _form("no end", 400, form(_FILE, _SPEC, end="")),
    _form("an end that is cut off", 400, form(_FILE, _SPEC, end=f"--{BOUNDARY}-")),
    _form("a file that is cut off", 400, _SPEC + part("file", b"audio", filename="a.wav")[:-4]),
    _form("lines that end with LF alone", 400, form(_FILE, _SPEC).replace(b"\r\n", b"\n")),
    _form("a header without a colon", 400, form(part(None, "x", head="Content-Disposition form-data"))),
    _form("a part without headers", 400, form(f"--{BOUNDARY}\r\n\r\nx\r\n".encode())),
    _form(
        "a part that is no form-data", 400, form(part(None, "x", head='Content-Disposition: attachment; name="file"'))
    ),
    _form("a part without a name", 400, form(part(None, "x"))),
    _form("a NUL in a header", 422, form(part(None, "x", head='Content-Disposition: form-data; name="file"\0'))),
    _form(
        "a header's name with a space", 400, form(part(None, "x", head='Content Disposition: form-data; name="file"'))
    ),
    _form("an injected line in a name", 422, form(part('file\\"\r\nX-Evil: "1', "x"), _SPEC), at=None),
    _form("no file", 422, form(_SPEC), "#/file"),
    _form("no spec", 422, form(_FILE), "#/spec"),
    _form("only the end", 422, form(), "#/file"),
    _form("two files", 422, form(_FILE, _FILE, _SPEC), "#/file"),
    _form("two specs", 422, form(_SPEC, _SPEC, _FILE), "#/spec"),
    _form("a part that is not known", 422, form(_FILE, _SPEC, part("callback", "http://127.0.0.1/")), "#/callback"),
    _form("a part whose name is a path", 422, form(part("../file", "x"), _SPEC), "#/..~1file"),
    _form("a spec that is empty", 422, form(_FILE, part("spec", "")), "#/spec"),
    _form("a spec that is no JSON", 422, form(_FILE, part("spec", "{")), "#/spec"),
    _form("a spec with an input", 422, form(_FILE, part("spec", PROBE[:-1] + ', "input": {}}')), "#/spec/input"),
    _form(
        "a spec with NaN",
        422,
        form(_FILE, part("spec", '{"operations": [{"op": "silence", "min_seconds": NaN}]}')),
        "#/spec/operations/0/min_seconds",
    ),
    _form("a spec whose preset is not there", 422, form(_FILE, part("spec", '{"preset": "no-such"}')), "#/spec/preset"),
    _form(
        "a spec behind the file that is wrong",
        422,
        form(_FILE, part("spec", '{"operations": []}')),
        "#/spec/operations",
    ),
    _form("a spec that is too large", 413, form(_FILE, part("spec", " " * (2**20 + 1)), end="")),
    _form("a file that is too large", 413, form(_SPEC, part("file", b"x" * 2_000_001, filename="a.wav"), end="")),
    _form("an upload with a spec", 422, form(_FILE, _SPEC), "#/spec", path="/api/uploads"),
    _form("an upload without a file", 422, form(), "#/file", path="/api/uploads"),
    _form("an upload that is cut off", 400, form(_FILE, end=""), path="/api/uploads"),
    Bad("upload: JSON", "POST /api/uploads", 415, "unsupported-media-type", PROBE),
]


def _length(name: str, length: str, status: int, problem: str | None) -> Bad:
    return Bad(f"Content-Length: {name}", "POST /api/jobs", status, problem, PROBE, {"Content-Length": length})


def _raw(name: str, raw: bytes, status: int = 400, problem: str | None = _HTTP) -> Bad:
    return Bad(f"raw: {name}", "", status, problem, raw=raw)


_HEAD = (
    b"POST /api/jobs HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Type: application/json\r\n"
    + f"Authorization: {KEY}\r\n".encode()
)
LENGTHS = [
    _length("less than there is", "5", 422, _INVALID),
    _length("0, of a body that is there", "0", 422, _INVALID),
    _length("negative", "-1", 400, _HTTP),
    _length("no number", "ten", 400, _HTTP),
    _length("hexadecimal", "0x10", 400, _HTTP),
    _length("beyond all integers", "9" * 30, 400, _HTTP),
    _length("4 GB", str(2**32), 413, "too-large"),
    _raw("two lengths", _HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    _raw("a chunk whose size is no number", _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    _raw("chunks and a length", _HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
]
RAW = [
    _raw("no HTTP", b"hello there\r\n\r\n"),
    _raw("the beginning of TLS", bytes.fromhex("16030100c8010000c40303") + b"\0" * 200),
    _raw("another version of HTTP", b"GET /healthz HTTP/9.9\r\nHost: api\r\n\r\n"),
    _raw("a method that is none", b"BREW /healthz HTTP/1.1\r\nHost: api\r\n\r\n"),
    _raw("a space in the path", b"GET /api /jobs HTTP/1.1\r\nHost: api\r\n\r\n"),
    _raw("a header's name with a space", b"GET /healthz HTTP/1.1\r\nHo st: api\r\n\r\n"),
    _raw("a header without a name", b"GET /healthz HTTP/1.1\r\nHost: api\r\n: x\r\n\r\n"),
    _raw("a NUL in a header", b"GET /healthz HTTP/1.1\r\nHost: api\r\nX: a\0b\r\n\r\n"),
    _raw("a line feed in a header", b"GET /healthz HTTP/1.1\r\nHost: api\r\nX: a\rb\r\n\r\n"),
]


def _get(path: str, status: int, problem: str | None, at: str | None = None, method: str = "GET") -> Bad:
    return Bad(f"{method} {path[:70]}", f"{method} {path}", status, problem, at=at)


_ARTIFACT = f"/api/jobs/{QUEUED_JOB}/artifacts"
PATHS = [
    *(
        _get(path, 404, None)
        for path in (
            "/nope",
            "/api",
            "/api/jobs/",
            "/API/JOBS",
            "//api/jobs",
            "/api/jobs;x=1",
            "/api/jobs/../uploads/x",
            "/.env",
            "/api/jobs%2f",
            "/docs/../../etc/passwd",
            f"/api/jobs/{UNKNOWN}/log",
            f"{_ARTIFACT}/..%2f..%2f..%2fetc%2fpasswd",
            f"{_ARTIFACT}/%2fetc%2fpasswd",
            f"{_ARTIFACT}/../../x/y",
            f"{_ARTIFACT}/",
        )
    ),
    *(
        _get(f"{_ARTIFACT}/{name}", 404, "artifact-not-found")
        for name in ("%2e%2e", "..", "..%5c..%5cboot.ini", "C:", "~root", "%ff", "a.mp3%20", ".", "%252e%252e%252f")
    ),
    *(
        _get(f"{_ARTIFACT}/{name}", 422, _INVALID, "#/name")
        for name in ("%00", "a%00.mp3", "a%0d%0aX-Evil:1", "a%0ab", "%1f", "x" * 256)
    ),
    *(
        _get(f"/api/jobs/{job_id}{more}", 422, _INVALID, "#/job_id", method)
        for job_id, more, method in (
            ("17", "", "GET"),
            ("%00", "", "GET"),
            ("..", "", "GET"),
            (UNKNOWN + "0", "", "GET"),
            ("x" * 60_000, "", "GET"),
            ("*", "", "DELETE"),
            ("17", "", "DELETE"),
            ("17", "/cancel", "POST"),
            ("17", "/retry", "POST"),
            ("17", "/events", "GET"),
            ("17", "/artifacts/a.mp3", "GET"),
            ("' OR 1=1--".replace(" ", "%20"), "", "GET"),
        )
    ),
    *(
        _get(f"/api/jobs/{UNKNOWN}{more}", 404, "job-not-found", None, method)
        for more, method in (
            ("", "GET"),
            ("", "DELETE"),
            ("/cancel", "POST"),
            ("/retry", "POST"),
            ("/events", "GET"),
            ("/artifacts/a.mp3", "GET"),
        )
    ),
    *(
        _get(path, 405, None, None, method)
        for path, method in (
            ("/api/jobs", "DELETE"),
            ("/api/jobs", "PATCH"),
            ("/api/jobs", "TRACE"),
            ("/api/operations", "POST"),
            ("/api/presets", "POST"),
            ("/api/jobs:validate", "GET"),
            ("/healthz", "PUT"),
            (f"/api/jobs/{UNKNOWN}", "PUT"),
        )
    ),
]


def _query(query: str, at: str) -> Bad:
    return _get(f"/api/jobs?{query}", 422, _INVALID, at)


QUERIES = [
    _query("limit=0", "#/limit"),
    _query("limit=201", "#/limit"),
    _query("limit=-1", "#/limit"),
    _query("limit=1e2", "#/limit"),
    _query("limit=NaN", "#/limit"),
    _query(f"limit={'9' * 5000}", "#/limit"),
    _query("status=sleeping", "#/status/0"),
    _query("&".join(["status=queued"] * 7), "#/status"),
    _query("cursor=", "#/cursor"),
    _query("cursor=..%2F..%2F", "#/cursor"),
    _query("cursor=%00", "#/cursor"),
    # The last character of 22 has bits to spare, which are zero in those that were given out.
    _query(f"cursor={'0' * 22}", "#/cursor"),
    _query(f"cursor={'A' * 60_000}", "#/cursor"),
    _query("preset=..%2F", "#/preset"),
    _query("metadata=customer", "#/metadata/0"),
    _query("metadata=%27%20OR%201=1", "#/metadata/0"),
    _query("metadata=a%3D%00", "#/metadata/0"),
    _query("metadata=a%3D1&metadata=a%3D2", "#/metadata/1"),
    _query("&".join(f"metadata=k{n}%3D1" for n in range(11)), "#/metadata"),
    _query("created_after=yesterday", "#/created_after"),
    _query("created_after=0.5", "#/created_after"),
    _query("created_before=1900000000", "#/created_before"),
    _query("created_after=2026-01-01", "#/created_after"),
    _query("created_before=0001-01-01T00:00:00Z", "#/created_before"),
    _query("created_before=9999-12-31T23:59:59-12:00", "#/created_before"),
]
STATES = [
    _get(f"{_ARTIFACT}/a.mp3", 404, "artifact-not-found"),
    _get(f"/api/jobs/{QUEUED_JOB}", 409, "job-not-ended", None, "DELETE"),
    _get(f"/api/jobs/{QUEUED_JOB}/retry", 409, "not-retryable", None, "POST"),
    _get(f"/api/jobs/{ENDED_JOB}/retry", 409, "not-retryable", None, "POST"),
    _get(f"/api/jobs/{ENDED_JOB}/cancel", 409, "job-ended", None, "POST"),
    Bad(
        "a range behind the end",
        f"GET /api/jobs/{ENDED_JOB}/artifacts/a.mp3",
        416,
        "range-not-satisfiable",
        headers={"Range": "bytes=9-"},
    ),
    Bad(
        "a version of an artifact that never was",
        f"GET /api/jobs/{ENDED_JOB}/artifacts/a.mp3",
        412,
        "changed",
        headers={"If-Match": '"0"'},
    ),
]

ROWS = [*FORMS, *LENGTHS, *RAW, *PATHS, *QUERIES, *STATES]
