"""Names of things: agent ids, and the ids of tasks, instances and actions."""

import re
from typing import Final

import uuid_utils

AGENT_ID_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_AGENT_ID: Final = re.compile(AGENT_ID_PATTERN.removesuffix("$") + r"\Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def is_agent_id(text: str) -> bool:
    """Tell whether `text` is a DNS label in lower case (RFC 1123), 1 to 63 characters."""
    return _AGENT_ID.match(text) is not None


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID in its lower-case text form (RFC 9562)."""
    return _UUID.match(text) is not None


def new_id() -> str:
    """Give a UUIDv7 as text: unique, and in the order of its making (RFC 9562, section 5.7)."""
    return str(uuid_utils.uuid7())
