"""Which addresses are never reached on a stranger's word."""

from ipaddress import ip_address

import pytest

from shared.addresses import AddressRule, is_public, literal
from shared.settings import Settings

# By the IANA special-purpose registries (RFC 6890), RFC 5771, RFC 4291, RFC 6052 and the clouds' own documentation.
REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "99.255.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.255.255"]
PUBLIC += ["198.20.0.1", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_on_the_internet_is(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("2852039166", "169.254.169.254"),
        ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254"),
        ("10.1", "10.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_known_in_each_form(written: str, meant: str) -> None:
    address = literal(written)
    assert address == ip_address(meant)
    assert address is not None
    assert not is_public(address)


@pytest.mark.parametrize("name", ["localhost", "files.example", "1.example", "x" * 300, "", "a\x00b"])
def test_a_name_is_no_address(name: str) -> None:
    assert literal(name) is None


def test_the_operator_may_allow_networks_addresses_and_names() -> None:
    rule = AddressRule.of(" 10.1.0.0/16, 192.168.7.7 ,fd00::/8, Files.Example. ")
    assert rule.permits(ip_address("10.1.2.3"))
    assert not rule.permits(ip_address("10.2.0.1"))
    assert rule.permits(ip_address("192.168.7.7"))
    assert not rule.permits(ip_address("192.168.7.8"))
    assert rule.permits(ip_address("fd12::1"))
    assert not rule.permits(ip_address("::ffff:10.1.2.3"))
    assert rule.permits(ip_address("127.0.0.1"), host="files.example")
    assert not rule.permits(ip_address("127.0.0.1"), host="other.example")
    assert rule.permits(ip_address("8.8.8.8"), host="other.example")


@pytest.mark.parametrize("listed", ["10.1.0.0/33", "10.1.0.1/16", "files.example:80", "https://files.example"])
def test_what_is_neither_is_said_at_the_start(listed: str) -> None:
    with pytest.raises(ValueError, match="network"):
        Settings(outbound_allowed_networks=listed)
