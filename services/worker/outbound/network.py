"""The connections beneath httpx. A host is resolved once, its addresses are checked, and one of these is connected to.

So a name server that gives a public address to whoever checks, and a private one to whoever connects, gains nothing.
TLS goes by the host's name as ever: httpcore takes it from the URL.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from ssl import SSLContext

import httpcore
import httpx

from services.worker.outbound.errors import AddressRefused, HostUnknown
from shared.addresses import Address, AddressRule, literal


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the rule permits, and to no others."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's permitted addresses that answers.

        Raises:
            AddressRefused: the host has none.
            HostUnknown: no name server knows it.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address answers.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._connect_to_any(host, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never.

        Raises:
            AddressRefused: always.
        """
        raise AddressRefused("No socket of this machine is connected to.")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _connect_to_any(
        self,
        host: str,
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        failed: httpcore.ConnectError | None = None
        for address in await self._permitted(host, port):
            try:
                # An address in numbers: nothing is resolved any more.
                return await self._network.connect_tcp(
                    str(address), port, None, local_address=local_address, socket_options=socket_options
                )
            except httpcore.ConnectError as error:
                failed = error
        raise failed or httpcore.ConnectError("no address")

    async def _permitted(self, host: str, port: int) -> Sequence[Address]:
        found = await _resolved(host, port)
        permitted = [address for address in found if self._rule.permits(address, host=host)]
        if not permitted:
            raise AddressRefused(
                f"The server {host} is not on the internet but within a network, where nothing is fetched from "
                "or sent to."
            )
        return permitted


async def _resolved(host: str, port: int) -> Sequence[Address]:
    address = literal(host)
    if address is not None:
        return [address]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            raise HostUnknown(f"There is no server of the name {host}.") from None
        raise httpcore.ConnectError(str(error)) from error
    except UnicodeError:
        # A label of a name that is longer than names may be.
        raise HostUnknown("There is no server of this name.") from None
    # Without the zone of a link-local address, which is refused with and without one.
    return list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport, over the guarded network."""

    def __init__(self, rule: AddressRule, tls: SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        # The one argument of the pool that httpx does not pass on. No connection outlives its request: each is
        # checked when it is made.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, network_backend=GuardedNetwork(rule), max_keepalive_connections=0, keepalive_expiry=0
        )
