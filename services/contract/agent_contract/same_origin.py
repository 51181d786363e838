"""What the page of a browser may do at a service that asks nobody who they are.

A browser reaches a service on loopback from any page: by an address of this machine, or by a name that the page's owner
gave such an address (DNS rebinding), which to the browser is the page's own origin.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

Headers = Mapping[bytes, bytes]
"""A request's headers by their names in lower case."""


def is_of_this_origin(headers: Headers) -> bool:
    """Tell whether our own page asks, or no page at all.

    Every browser of today says `Sec-Fetch-Site` where the origin is https or loopback; the rest say `Origin` with what
    changes something (Fetch Standard, 3.2). Its scheme is left out: a proxy may end TLS before us.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        return site in (b"same-origin", b"none")
    return origin is None or origin.partition(b"://")[2].lower() == headers.get(b"host", b"").lower()


def may_be_rebound(headers: Headers) -> bool:
    """Tell whether the `Host` is a name whose owner can give it any address: one of several labels.

    An address is nobody's to give; names of one label, and those below `localhost` (RFC 6761), are not in the DNS of
    the outside. Without a `Host` no browser asks.
    """
    return _is_outside_name(headers.get(b"host", b""))


@lru_cache(maxsize=256)  # every call asks, and clients call by a handful of names
def _is_outside_name(host: bytes) -> bool:
    name, _, port = host.decode("latin-1").rpartition(":")
    name = (name if port.isdecimal() else host.decode("latin-1")).rstrip(".:").lower()
    return "." in name and not name.endswith(".localhost") and not _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
