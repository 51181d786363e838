"""What an address counts as, where requests are bounded by who sends them."""

import ipaddress
from typing import Final

_V6_NETWORK: Final = 64
"""What one customer has at least: more addresses than anyone could count."""


def network_of(host: str) -> str:
    """Give the address itself, or the /64 that an IPv6 one lies in; empty for what is no address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _V6_NETWORK), strict=False))
    return str(address)
