"""The trace that a request belongs to, read from its `traceparent` (W3C Trace Context, 3.2)."""

import re
from typing import Final

_SAMPLED: Final = 1
_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


def sampled_trace_id(traceparent: str | bytes | None) -> str | None:
    """Give the id of the trace, 32 hex digits, or None where there is none or nobody keeps it.

    What a stranger sent is checked, for the id goes into a metric's exemplar.
    """
    if traceparent is None:
        return None
    text = traceparent.decode("latin-1") if isinstance(traceparent, bytes) else traceparent
    found = _FORM.fullmatch(text)
    return found[1] if found and int(found[2], 16) & _SAMPLED else None
