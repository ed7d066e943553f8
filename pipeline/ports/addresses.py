"""Which addresses a webhook may be sent to: public ones, and what its endpoint allow-lists. Pure.

Ranges are from the IANA special-purpose registries (RFC 6890 and successors), written out so that the answer does not
depend on the Python version. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is judged by both.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

from pipeline.base.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

Network: TypeAlias = IPv4Network | IPv6Network

_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard-only"),
        ("2001::/23", "reserved"),  # Teredo, ORCHID and other protocol assignments
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ip_network("2002::/16")
_MAPPED = ip_network("::ffff:0:0/96")
_GLOBAL_UNICAST = ip_network("2000::/3")


def networks(cidrs: Sequence[str], key: str) -> tuple[Network, ...]:
    """Parse an allow-list.

    Raises:
        SettingsError: an entry is no network; it names the key and the entry.
    """
    parsed = []
    for cidr in cidrs:
        try:
            parsed.append(ip_network(cidr))
        except ValueError as err:
            raise SettingsError(f"{key}={cidr!r}: not a network in CIDR form ({err})") from None
    return tuple(parsed)


def refusal(address: str, allowed: Sequence[Network] = ()) -> str:
    """Why this address may not be connected to; empty when it may. What is not an address is refused too."""
    try:
        parsed = ip_address(address.partition("%")[0])  # a scope (`%eth0`) says which link, not where
    except ValueError:
        return "not an address"
    for judged in _faces(parsed):
        if any(judged.version == network.version and judged in network for network in allowed):
            continue
        for network, why in _REFUSED:
            if judged.version == network.version and judged in network:
                return why
        if isinstance(judged, IPv6Address) and judged not in _GLOBAL_UNICAST and judged not in _NAT64:
            return "not global unicast"
    return ""


def _faces(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The address and the IPv4 address it carries; of a mapped one only the latter is connected to."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address in _MAPPED:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address in _NAT64:
        return (address, IPv4Address(int(address) & 0xFFFF_FFFF))
    if address in _SIX_TO_FOUR:
        return (address, IPv4Address(int(address) >> 80 & 0xFFFF_FFFF))
    return (address,)
