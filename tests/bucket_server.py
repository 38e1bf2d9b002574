"""A bucket: moto's S3 server, which checks no signature, behind a gate that checks those of presigned URLs as S3 does.

What the signature must be botocore says, the reference for Signature Version 4; the gate compares, and minds the time.
"""

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOCALHOST = "127.0.0.1"
BUCKET = "audio"
REGION = "us-east-1"
_ACCESS_KEY_ID = _SECRET = "test"
_TIMESTAMP = "%Y%m%dT%H%M%SZ"


class BucketServer(AbstractContextManager["BucketServer"]):
    """Serves a bucket, in a thread, while its context lasts."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        """How much later it is here, for who looks whether a URL has expired."""
        self._store = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(LOCALHOST, 0, self._gate, threaded=True, request_handler=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert httpx.put(f"{self.url}/{BUCKET}", trust_env=False).is_success
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{LOCALHOST}:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
        }

    def opened(self) -> S3Store:
        """The bucket, past Wavemill."""
        return S3Store(
            BUCKET,
            endpoint=self.url,
            region=REGION,
            access_key_id=_ACCESS_KEY_ID,
            secret_access_key=_SECRET,
            client_options={"allow_http": True},
        )

    def _gate(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        refusal = self._refusal(request) if "X-Amz-Signature" in request.args else None
        if refusal is None:
            passed_on: Iterable[bytes] = self._store(environ, start_response)
            return passed_on
        # The client hears of it after it has sent all: it would take a connection that is reset for one that broke.
        request.get_data(cache=False)
        code, words = refusal
        body = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
        return Response(body, status=403, content_type="application/xml")(environ, start_response)

    def _refusal(self, request: Request) -> tuple[str, str] | None:
        """S3's code and words (its documentation, "Error responses"); None where there is nothing to refuse."""
        given = request.args
        signed = AWSRequest(
            method=request.method,
            url=request.base_url,
            headers={name: request.headers[name] for name in given["X-Amz-SignedHeaders"].split(";")},
            params={name: value for name, value in given.items() if name != "X-Amz-Signature"},
        )
        signed.context["timestamp"] = given["X-Amz-Date"]
        signer = S3SigV4QueryAuth(Credentials(_ACCESS_KEY_ID, _SECRET), "s3", REGION)
        text = signer.string_to_sign(signed, signer.canonical_request(signed))
        if given["X-Amz-Signature"] != signer.signature(text, signed):
            return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you gave."
        began = datetime.strptime(given["X-Amz-Date"], _TIMESTAMP).replace(tzinfo=UTC)
        if datetime.now(UTC) + self.ahead > began + timedelta(seconds=int(given["X-Amz-Expires"])):
            return "AccessDenied", "Request has expired"
        return None


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - as there
        """Say nothing of each request."""
