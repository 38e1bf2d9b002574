"""One large upload, made up as it is sent: `python -m tests.benchmarks.api.sender PORT NUMBER BYTES`.

Of each number the bytes are others, and the same each time. It says as JSON what the server has answered, and the
seconds from the first byte to the answer.
"""

import argparse
import http.client
import json
import random
import time
from collections.abc import Iterator

PIECE_BYTES = 1024 * 1024
_BOUNDARY = "of-a-benchmark"
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\n"
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
_PATIENCE_SECONDS = 300.0


def pieces(number: int, size: int) -> Iterator[bytes]:
    """The file."""
    piece = random.Random(number).randbytes(PIECE_BYTES)
    for left in range(size, 0, -PIECE_BYTES):
        yield piece[:left]


def main() -> None:
    """Send it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("number", type=int)
    parser.add_argument("size", type=int)
    arguments = parser.parse_args()
    number, size = arguments.number, arguments.size

    def body() -> Iterator[bytes]:
        yield _HEAD
        yield from pieces(number, size)
        yield _TAIL

    connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=_PATIENCE_SECONDS)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(_HEAD) + size + len(_TAIL)),
    }
    began = time.perf_counter()
    connection.request("POST", "/api/uploads", body(), headers)
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - began
    if answer.status != http.HTTPStatus.CREATED:
        raise SystemExit(f"{answer.status} {text[:1000].decode(errors='replace')}")
    print(json.dumps({"seconds": took, "upload": json.loads(text)}))  # noqa: T201


if __name__ == "__main__":
    main()
