"""Which addresses a webhook may be sent to."""

from __future__ import annotations

import pytest

from pipeline.base.errors import SettingsError
from pipeline.ports.addresses import networks, refusal


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104 - an address under test
        ("0.1.2.3", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "IPv4-compatible"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("2001:0:7f00:1::", "reserved"),
        ("100::1", "discard-only"),
        ("64:ff9b:1::1", "local NAT64"),
        ("4000::1", "not global unicast"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:a9fe:a9fe", "link-local"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::100.64.0.1", "carrier-grade NAT"),
        ("2002:a00:1::", "private"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("example.com", "not an address"),
        ("", "not an address"),
    ],
)
def test_what_is_not_public_is_refused_by_name(address: str, why: str) -> None:
    """Each family of special addresses is refused, also when carried inside an IPv6 address, and the reason is named."""
    assert refusal(address) == why


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses_pass(address: str) -> None:
    """Public addresses pass, and so do neighbours of refused ranges and forms that carry a public address."""
    assert refusal(address) == ""


@pytest.mark.parametrize(
    ("address", "allowed", "passes"),
    [
        ("10.1.2.3", ["10.1.0.0/16"], True),
        ("10.2.2.3", ["10.1.0.0/16"], False),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], True),
        ("::1", ["127.0.0.0/8"], False),
        ("fd00::5", ["fd00::/8"], True),
        ("64:ff9b::10.1.2.3", ["10.1.0.0/16"], True),
        ("2002:a01:203::", ["2002::/16"], False),  # the carrier is allowed, what it carries is not
    ],
)
def test_an_allow_list_opens_what_it_names_only(address: str, allowed: list[str], passes: bool) -> None:  # noqa: FBT001 - a test's parameter
    """An allow-listed network passes, its neighbours do not, and a carried address must be allowed itself."""
    assert (refusal(address, networks(allowed, "key")) == "") is passes


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "10.0.0.0/40", "localhost", ""])
def test_a_bad_network_is_a_settings_error(cidr: str) -> None:
    """A typing error in an allow-list names its key and value."""
    with pytest.raises(SettingsError, match="allow_networks="):
        networks([cidr], "deliver.webhooks.x.allow_networks")
