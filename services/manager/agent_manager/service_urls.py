"""Which URLs an adapter may register: the place that keeps the manager from being sent to somebody else's port.

A URL is read strictly and in its one usual spelling, an address is compared as an address, and a name only counts where
the configuration lists it. Spellings that reach loopback past a lenient reader: CVE-2021-29921, RFC 6943 section 3.1.1.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from agent_contract.loading import ConfigurationError
from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.agent_client import Origin

Address = IPv4Address | IPv6Address

_RESOLVE_SECONDS: Final = 1.0
"""A listed name that takes longer to look up cannot be used: the adapter asks again."""
_URL: Final = re.compile(r"(https?)://([^/?#\\]*)(.*)", re.DOTALL)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_PORT, _MAX_NAME = 65535, 253
_LOCALHOST: Final = "localhost"

_LOOPBACKS: Final[frozenset[Address]] = frozenset((IPv4Address("127.0.0.1"), IPv6Address("::1")))
_NEVER: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host, in the words of some systems
        "169.254.0.0/16",  # link-local: the metadata service of most clouds
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # metadata, Azure
        "192.0.0.192/32",  # metadata, Oracle Cloud
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/128",
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, its predecessor
        "fd00:ec2::/32",  # metadata, AWS
        "fd20:ce::/32",  # metadata, Google Cloud
        "ff00::/8",  # multicast
    )
)
"""Never, whatever is allowed and whoever asks."""
_DISGUISES: Final = tuple(
    ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
"""IPv6 addresses that mean an IPv4 one: another spelling of it."""
_ISATAP, _ISATAP_MASK = 0x00005EFE, 0xFCFFFFFF
"""The same in the middle of any network's addresses: `...:0:5efe:7f00:1` (RFC 5214, section 6.1)."""


class Place(Struct, frozen=True):
    """What a service URL says, read and not yet judged: the host is an address or a name in lower case."""

    url: str
    tls: bool
    host: Address | str
    port: int


class ServiceUrls:
    """Judges service URLs by the caller's own address and by `allowedServiceHosts`."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Take names, addresses and networks; raises ConfigurationError for what is none of them."""
        self._names: set[str] = set()
        self._networks = []
        for index, text in enumerate(allowed):
            try:
                self._networks.append(ip_network(text))
            except ValueError as error:
                if not is_name(text.lower()):
                    path = f"runtime.allowedServiceHosts[{index}]"
                    raise ConfigurationError(path, f"{text!r} is not a name, an address or a network") from error
                self._names.add(text.lower())

    async def origin(self, service_url: str, peer_host: str | None) -> Origin:
        """Give where to connect for a URL that this caller may register; a listed name is looked up once and pinned.

        Raises:
            Problem: 400 `bad-request` with the field `serviceUrl`, 403 `forbidden-service-url`.

        """
        place = read(service_url)
        if not isinstance(place.host, str):
            self.permit(place, peer_host)
            return Origin(str(place.host), place.port, place.tls)
        if place.host not in self._names:
            raise _forbidden(place.url, f"the name {place.host} is not among runtime.allowedServiceHosts")
        addresses = await _look_up(place, place.host)
        for address in addresses:
            _refuse_never(place.url, address)
            self._refuse_loopback(place, address, peer_host)
        # the address that was checked is the one to connect to: whoever owns the name may answer otherwise next time
        own = _peer(peer_host)
        chosen = own if own in addresses else addresses[0]
        return Origin(str(chosen), place.port, place.tls, place.host if place.tls else None)

    def permit(self, place: Place, peer_host: str | None) -> None:
        """Raise Problem 403 unless the address is the caller's own or allowed."""
        address = place.host
        if isinstance(address, str):
            raise TypeError("a name is permitted by the list alone")
        _refuse_never(place.url, address)
        own = _peer(peer_host)
        if own == address or self._lists(address):
            return
        if own is not None and own.is_loopback and address in _LOOPBACKS:
            return
        raise _forbidden(place.url, "it is neither the caller's own address nor among runtime.allowedServiceHosts")

    def _refuse_loopback(self, place: Place, address: Address, peer_host: str | None) -> None:
        """Refuse a name that leads back to this machine, unless that is what it says or where the caller is."""
        own = _peer(peer_host)
        if not address.is_loopback or self._lists(address) or (own is not None and own.is_loopback):
            return
        if place.host != _LOCALHOST:
            raise _forbidden(place.url, f"the name {place.host} means {address}, and its caller is not on this machine")

    def _lists(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def read(service_url: str) -> Place:
    """Give the parts of a service URL.

    Raises:
        Problem: 400 `bad-request` for what is not scheme, host and port alone; 403 `forbidden-service-url` for an
            address in an unusual spelling.

    """
    found = _URL.fullmatch(service_url)
    if found is None:
        raise _bad(service_url, "it must begin with http:// or https://")
    scheme, authority, rest = found.groups()
    if rest or "@" in authority:
        raise _bad(service_url, "it must be scheme, host and port alone")
    if not authority.isprintable() or " " in authority:
        raise _bad(service_url, "it has a space or an unprintable character")
    host, colon, port = authority.rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise _bad(service_url, "it needs a host and a port, 1 to 65535")
    return Place(service_url, scheme == "https", _read_host(service_url, host), int(port))


def is_name(text: str) -> bool:
    """Tell whether `text` is a DNS name in lower case that no resolver takes for an address."""
    labels = text.split(".")
    return len(text) <= _MAX_NAME and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


def _read_host(url: str, host: str) -> Address | str:
    if host.startswith("[") or ":" in host:
        return _read_v6(url, host)
    try:
        return IPv4Address(host)
    except ValueError:
        name = host.lower()
    if not is_name(name):
        raise _forbidden(url, "its host is not a name, or another spelling of an address")
    return name


def _read_v6(url: str, host: str) -> IPv6Address:
    if not (host.startswith("[") and host.endswith("]")):
        raise _bad(url, "an IPv6 address stands in brackets")
    try:
        address = IPv6Address(host[1:-1])
    except ValueError as error:
        raise _bad(url, str(error)) from error
    if address.scope_id is not None or f"[{address}]" != host:
        raise _forbidden(url, "this is another spelling of its address")
    return address


def _refuse_never(url: str, address: Address) -> None:
    if any(address in network for network in _NEVER):
        raise _forbidden(url, f"{address} is never used: link-local, metadata, multicast or unspecified")
    if isinstance(address, IPv6Address) and address not in _LOOPBACKS and _means_v4(address):
        raise _forbidden(url, f"{address} is another spelling of an IPv4 address")


def _means_v4(address: IPv6Address) -> bool:
    is_isatap = int(address) >> 32 & _ISATAP_MASK == _ISATAP
    return is_isatap or any(address in network for network in _DISGUISES)


def _peer(host: str | None) -> Address | None:
    """Give the caller's address; a dual-stack socket's `::ffff:10.0.0.1` is 10.0.0.1."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


async def _look_up(place: Place, name: str) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await loop.getaddrinfo(name, place.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        raise _forbidden(place.url, f"the name {name} cannot be looked up: {error or 'no answer'}") from error
    return [ip_address(address[0]) for *_, address in found]


def _bad(url: str, reason: str) -> Problem:
    return Problem("bad-request", f"cannot use {url[:200]!r}: {reason}", field="serviceUrl")


def _forbidden(url: str, reason: str) -> Problem:
    return Problem("forbidden-service-url", f"cannot use {url[:200]!r}: {reason}", field="serviceUrl")
