"""Requests to strangers' URLs, over real connections on this machine."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from services.worker.outbound import (
    AddressRefused,
    AnswerTooLarge,
    BrokenOff,
    Outbound,
    OutboundError,
    Times,
    TooManyRedirects,
    TooSlow,
    Unreachable,
    UrlRefused,
)
from services.worker.outbound.errors import CertificateRefused, HostUnknown
from shared.addresses import AddressRule
from tests.remote_server import Asked, RemoteServer, answer, head

PATIENT = Times(connect=10, idle=10, total=30)
HERE = "127.0.0.1/32"


@pytest.fixture
def remote() -> Iterator[RemoteServer]:
    with RemoteServer() as server:
        yield server


def outbound(*allowed: str, max_redirects: int = 3) -> Outbound:
    return Outbound(AddressRule(allowed), max_redirects=max_redirects)


async def fetched(
    client: Outbound, url: str, *, times: Times = PATIENT, max_bytes: int = 1_000_000, **more: Any
) -> bytes:
    async with client.request("GET", url, times=times, **more) as found:
        return b"".join([piece async for piece in found.body(max_bytes=max_bytes)])


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "0", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]", "[64:ff9b::7f00:1]", "[::7f00:1]"),
    ],
)
async def test_this_machine_is_not_reached_by_any_of_its_names(remote: RemoteServer, host: str) -> None:
    with pytest.raises((AddressRefused, UrlRefused)):
        await fetched(outbound(), f"http://{host}:{remote.port}/")
    assert remote.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://files.example/a", "file:///etc/passwd", "gopher://files.example", "data:,a", "unix:/tmp/s"),
        *("//files.example/a", "http://", "http:///a", "", "a", "http://[::1"),
        *("http://user@127.0.0.1/", "http://user:password@127.0.0.1/", "http://:password@127.0.0.1/"),
        *("http://\u2460\u2461\u2466.0.0.1/", "http://a\r\nX: y/", "javascript:alert(1)"),
    ],
)
async def test_some_urls_are_never_requested(url: str) -> None:
    with pytest.raises(UrlRefused):
        await fetched(outbound(HERE), url)


async def test_an_allowed_address_is_reached(remote: RemoteServer) -> None:
    remote.handlers["/a?b=c"] = answer(200, b"some audio")
    assert await fetched(outbound(HERE), remote.url("/a?b=c")) == b"some audio"
    (asked,) = remote.asked
    assert asked.headers["host"] == f"127.0.0.1:{remote.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert "cookie" not in asked.headers


def test_it_is_the_same_on_the_workers_event_loop(remote: RemoteServer) -> None:
    remote.handlers["/"] = answer(200, b"some audio")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(fetched(outbound("localhost"), f"http://localhost:{remote.port}/")) == b"some audio"
        with pytest.raises(AddressRefused):
            runner.run(fetched(outbound(), remote.url()))
        with pytest.raises(HostUnknown):
            runner.run(fetched(outbound(), "http://no-such-host.invalid/"))


class Resolver:
    """Gives these addresses in turn, for any name, and counts."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked = 0

    def __call__(self, _host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self._addresses.pop(0), port))]


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.handlers["/"] = answer(200, b"checked")
    resolver = Resolver("127.0.0.1", "127.0.0.2")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert await fetched(outbound(HERE), f"http://rebinding.example:{remote.port}/") == b"checked"
    assert resolver.asked == 1


async def test_a_name_that_leads_to_a_private_address_is_refused(
    remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver("127.0.0.1", "127.0.0.1"))
    with pytest.raises(AddressRefused, match=r"rebinding\.example is not on the internet"):
        await fetched(outbound("127.0.0.2/32"), f"http://rebinding.example:{remote.port}/")
    assert remote.asked == []


async def test_proxies_of_the_environment_are_not_used(remote: RemoteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", remote.url())
    monkeypatch.setenv("ALL_PROXY", remote.url())
    with pytest.raises(AddressRefused):
        await fetched(outbound(HERE), f"http://127.0.0.2:{remote.port}/")
    assert remote.asked == []


async def test_a_password_of_the_environment_is_not_used(
    remote: RemoteServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    remote.handlers["/"] = answer(200)
    await fetched(outbound(HERE), remote.url())
    assert "authorization" not in remote.asked[0].headers


class TestRedirects:
    async def test_they_are_followed(self, remote: RemoteServer) -> None:
        for status in (301, 302, 303, 307, 308):
            remote.handlers["/"] = answer(status, location="/there#here")
            remote.handlers["/there"] = answer(200, b"there")
            assert await fetched(outbound(HERE), remote.url()) == b"there"

    @pytest.mark.parametrize(
        "location",
        [
            "http://127.0.0.2:{port}/",
            "http://localhost.:{port}/",
            "//127.1:{port}/",
            "http://169.254.169.254/",
            "//[::1]/",
        ],
    )
    async def test_each_is_checked(self, remote: RemoteServer, location: str) -> None:
        with RemoteServer("127.0.0.2") as other:
            remote.handlers["/"] = answer(302, location=location.format(port=other.port))
            # 127.1 is 127.0.0.1, where nobody listens on the other's port; not everywhere is `localhost.` known.
            with pytest.raises((AddressRefused, Unreachable, HostUnknown)):
                await fetched(outbound(HERE), remote.url())
            assert other.asked == []

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:1"])
    async def test_to_another_scheme_none_is_followed(self, remote: RemoteServer, location: str) -> None:
        remote.handlers["/"] = answer(302, location=location)
        with pytest.raises(UrlRefused):
            await fetched(outbound(HERE), remote.url())

    async def test_they_end(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(302, location="/")
        with pytest.raises(TooManyRedirects):
            await fetched(outbound(HERE, max_redirects=3), remote.url())
        assert len(remote.asked) == 4

    async def test_secrets_stay_with_the_origin(self, remote: RemoteServer) -> None:
        secrets = {"Authorization": "Bearer a", "Cookie": "b=c", "Range": "bytes=1-"}
        with RemoteServer() as other:
            remote.handlers["/"] = answer(302, location="/same", set_cookie="d=e")
            remote.handlers["/same"] = answer(302, location=other.url("/").replace("//", "//user:password@"))
            other.handlers["/"] = answer(200)
            await fetched(outbound(HERE), remote.url(), headers=secrets)
            assert remote.asked[1].headers["authorization"] == "Bearer a"
            assert not {"authorization", "cookie"} & other.asked[0].headers.keys()
            assert other.asked[0].headers["range"] == "bytes=1-"

    async def test_a_post_is_sent_once(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(307, b"elsewhere", location="/there")
        async with outbound(HERE).request("POST", remote.url(), times=PATIENT, content=b"news") as found:
            assert (found.status, await found.beginning(5)) == (307, b"elsew")
        assert [(asked.method, asked.body) for asked in remote.asked] == [("POST", b"news")]


class TestLimits:
    async def test_what_is_announced_to_be_too_large_is_not_read(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(200, b"x", content_length="11")
        with pytest.raises(AnswerTooLarge):
            await fetched(outbound(HERE), remote.url(), max_bytes=10)

    async def test_what_turns_out_to_be_too_large_is_not_read_on(self, remote: RemoteServer) -> None:
        async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(head(200))
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

        remote.handlers["/"] = endless
        with pytest.raises(AnswerTooLarge):
            await fetched(outbound(HERE), remote.url(), max_bytes=1_000_000)
        async with outbound(HERE).request("GET", remote.url(), times=PATIENT) as found:
            assert await found.beginning(7) == b"x" * 7

    async def test_as_much_as_is_allowed_is_read(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(200, b"x" * 10)
        assert await fetched(outbound(HERE), remote.url(), max_bytes=10) == b"x" * 10

    async def test_a_body_that_ends_too_early_is_no_body(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(200, b"half", content_length="8")
        with pytest.raises(BrokenOff):
            await fetched(outbound(HERE), remote.url())

    async def test_what_follows_the_announced_end_is_not_read(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(200, b"whole and more", content_length="5")
        assert await fetched(outbound(HERE), remote.url()) == b"whole"

    async def test_a_server_that_falls_silent_is_left(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = silent(head(200, content_length="8") + b"half")
        with pytest.raises(TooSlow, match="silent"):
            await fetched(outbound(HERE), remote.url(), times=Times(connect=10, idle=0.3, total=30))

    async def test_a_server_that_drips_is_left_as_well(self, remote: RemoteServer) -> None:
        async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(head(200, content_length="100000"))
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)

        remote.handlers["/"] = drip
        with pytest.raises(TooSlow, match="took longer than 1 seconds"):
            await fetched(outbound(HERE), remote.url(), times=Times(connect=10, idle=10, total=1))

    async def test_the_blocks_own_timeouts_are_its_own(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = answer(200)
        with pytest.raises(TimeoutError):
            async with outbound(HERE).request("GET", remote.url(), times=PATIENT):
                raise TimeoutError

    async def test_headers_without_end_are_not_read(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = silent(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000)
        with pytest.raises(OutboundError):
            await fetched(outbound(HERE), remote.url())

    async def test_what_is_no_http_is_said(self, remote: RemoteServer) -> None:
        remote.handlers["/"] = silent(b"220 mail.example ESMTP\r\n\r\n")
        with pytest.raises(BrokenOff):
            await fetched(outbound(HERE), remote.url())

    async def test_nobody_there_may_be_tried_again(self) -> None:
        with RemoteServer() as server:
            url = server.url()
        with pytest.raises(Unreachable) as raised:
            await fetched(outbound(HERE), url)
        assert raised.value.is_transient


def silent(beginning: bytes) -> Callable[[Asked, asyncio.StreamWriter], Any]:
    async def write(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await writer.drain()
        await asyncio.sleep(60)

    return write


class TestTls:
    @asynccontextmanager
    async def server(self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
        """A server with a certificate for a name, from an authority that the client trusts; and the names asked for."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setattr(socket, "getaddrinfo", Resolver("127.0.0.1"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        names: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        with RemoteServer(tls=context) as remote:
            remote.handlers["/"] = answer(200, b"some audio")
            yield remote, names

    async def test_it_goes_by_the_name_not_by_the_address(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        async with self.server("files.example", monkeypatch, tmp_path) as (remote, names):
            assert await fetched(outbound(HERE), f"https://files.example:{remote.port}/") == b"some audio"
            assert names == ["files.example"]
            assert remote.asked[0].headers["host"] == f"files.example:{remote.port}"

    async def test_another_names_certificate_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        async with self.server("other.example", monkeypatch, tmp_path) as (remote, _):
            with pytest.raises(CertificateRefused):
                await fetched(outbound(HERE), f"https://files.example:{remote.port}/")
            assert remote.asked == []
