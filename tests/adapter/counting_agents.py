"""Agents that count what they do with prometheus-client. Loaded by a worker alone, never by a test."""

import os
import signal
from typing import Any

from prometheus_client import Counter

READ = Counter("documents_read", "Documents that were read.", ["kind"])


async def read(parameters: dict[str, Any]) -> int:
    """Count one; give the process that counts."""
    READ.labels(parameters["kind"]).inc()
    return os.getpid()


async def crash(parameters: dict[str, Any]) -> None:
    """Count one and die."""
    READ.labels(parameters["kind"]).inc()
    os.kill(os.getpid(), signal.SIGKILL)
