"""Which addresses mean this machine alone."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether who listens at this host is reached from this machine alone; a name but `localhost` is not."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
