"""The client: one request, its redirects, and how long all of that may take."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx

from services.worker.outbound.answer import Answer
from services.worker.outbound.errors import TooManyRedirects, TooSlow, UrlRefused, in_our_words
from services.worker.outbound.network import GuardedTransport
from shared.addresses import AddressRule
from shared.settings import Settings

_USER_AGENT = "Wavemill"
# Not followed where the method would have to change: only GET and HEAD are sent on.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOLLOWING = frozenset({"GET", "HEAD"})
# Meant for one server, and for no other that it names.
_CONFIDENTIAL = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Times:
    """How long things may take, in seconds."""

    connect: float  # to resolve the host and to connect to it, for each redirect
    idle: float  # until the next byte comes or goes
    total: float  # from the start to the end of the body, with all redirects


class Outbound:
    """Makes requests. Nothing of the environment's proxies or passwords is used."""

    def __init__(self, rule: AddressRule, *, max_redirects: int) -> None:
        self._rule = rule
        self._max_redirects = max_redirects
        # Made once: to read the certificates takes longer than many a request. SSL_CERT_FILE is heeded.
        self._tls = httpx.create_ssl_context()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator wants it."""
        return cls(AddressRule.of(settings.outbound_allowed_networks), max_redirects=settings.outbound_max_redirects)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        times: Times,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[Answer]:
        """Make a request; the answer's body is read in the block. Redirects of a GET or a HEAD are followed.

        Args:
            method: of the request.
            url: http or https, without user name and password.
            times: how long it may take; the total includes the block.
            headers: of the request; confidential ones do not follow a redirect to another origin.
            content: body of the request.

        Raises:
            OutboundError: there is no answer, for the reason that the error's kind says.
        """
        target = _target(url)
        if target.userinfo:
            raise UrlRefused("The URL holds a user name or a password; give one without.")
        deadline = asyncio.timeout(times.total)
        try:
            async with deadline, AsyncExitStack() as stack:
                client = await stack.enter_async_context(self._client(times))
                response = await self._answered(client, method, target, headers=dict(headers or {}), content=content)
                stack.push_async_callback(response.aclose)
                yield Answer(response)
        except TimeoutError:
            if not deadline.expired():
                # Of something else in the block.
                raise
            raise TooSlow(f"The server {target.host} took longer than {times.total:g} seconds.") from None

    async def _answered(
        self,
        client: httpx.AsyncClient,
        method: str,
        target: httpx.URL,
        *,
        headers: dict[str, str],
        content: bytes | None,
    ) -> httpx.Response:
        """The answer that is no redirect, or none that is followed."""
        for _ in range(self._max_redirects + 1):
            with in_our_words(target.host):
                request = client.build_request(method, target, headers=headers, content=content)
                response = await client.send(request, stream=True)
            location = response.headers.get("location")
            if method not in _FOLLOWING or response.status_code not in _REDIRECTS or location is None:
                return response
            await response.aclose()
            following = _target(_joined(target, location)).copy_with(userinfo=b"")
            if _origin(following) != _origin(target):
                headers = {name: value for name, value in headers.items() if name.lower() not in _CONFIDENTIAL}
            target = following
        raise TooManyRedirects(f"The URL leads elsewhere more than {self._max_redirects} times.")

    def _client(self, times: Times) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=GuardedTransport(self._rule, self._tls),
            # None is taken from anybody.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(times.idle, connect=times.connect),
            headers={"User-Agent": _USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )


def _target(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        raise UrlRefused("The URL is not valid; look for a mistake in it.") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise UrlRefused("The URL does not begin with https:// or http:// and the name of a server.")
    return target


def _joined(base: httpx.URL, location: str) -> str:
    try:
        return str(base.join(location))
    except httpx.InvalidURL:
        raise UrlRefused("The URL leads to one that is not valid.") from None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
