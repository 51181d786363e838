"""The command line of managers and agents: `agentctl`."""

import sys

__version__ = "0.1.0"

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None makes its import fail, as httpx allows for
"""httpx's own command line would be imported with it, rich and pygments as well: 40 ms of each of our commands."""
