"""Which network addresses may be reached on a stranger's word: public ones, and those that the operator allows."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What the IANA IPv4 Special-Purpose Address Registry does not call globally reachable, multicast, and one more. Not
# `is_global`, which differs between versions of Python.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for the machine itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; a cloud's metadata is at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number; Azure answers virtual machines there
        "169.254.0.0/16",  # link-local; most clouds' metadata is at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata is at 192.0.0.192
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All of IPv6 that is public is in here (RFC 4291, section 2.4), and so no private, link-local, multicast, mapped
# (::ffff:0:0/96) or NAT64 (64:ff9b::/96) address is.
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them, which holds an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, which holds an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
    )
)


class AddressRule:
    """The rule of one Wavemill."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """Public addresses are permitted, and these.

        Args:
            allowed: networks (10.1.0.0/16), addresses, and names of hosts, of which any address is permitted.

        Raises:
            ValueError: one of them is none of these; its message is a sentence.
        """
        self._networks: list[Network] = []
        self._names: set[str] = set()
        for entry in allowed:
            network = _network(entry)
            if network is None:
                self._names.add(entry.lower().rstrip("."))
            else:
                self._networks.append(network)

    @classmethod
    def of(cls, listed: str) -> Self:
        """The rule that allows what is listed, parted by commas."""
        return cls(entry for part in listed.split(",") if (entry := part.strip()))

    def permits(self, address: Address, *, host: str = "") -> bool:
        """Whether an address may be connected to, which is that of a host, if it has a name."""
        if host and host.lower().rstrip(".") in self._names:
            return True
        if any(address in network for network in self._networks if network.version == address.version):
            return True
        return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet at large."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def literal(host: str) -> Address | None:
    """The address that a URL's host is, also in the forms that the C library knows (127.1, 0x7f000001, 017700000001).

    None when it is a name.
    """
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None


def _network(entry: str) -> Network | None:
    if "/" in entry or literal(entry) is not None:
        try:
            return ip_network(entry)
        except ValueError as error:
            raise ValueError(f"{entry!r} is no network: {error}") from None
    if not entry.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise ValueError(f"{entry!r} is neither a network, as 10.1.0.0/16, nor the name of a host")
    return None
