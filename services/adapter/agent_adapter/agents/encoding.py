"""Results as JSON text."""

from typing import Any, Final

import msgspec
from agent_contract.problems import Problem

MAX_RESULT_BYTES: Final = 10 * 1024 * 1024


def encode(result: Any) -> bytes:  # noqa: ANN401  # whatever agent code gives
    """Give the JSON text of a result: what msgspec encodes, and pydantic models.

    Raises:
        Problem: 500 `agent-failed` when it has no JSON form, `result-too-large` over 10 MiB.

    """
    try:
        text = msgspec.json.encode(result, enc_hook=_model)
    except (TypeError, ValueError, RecursionError) as error:
        raise Problem("agent-failed", f"cannot encode the result: {error}") from error
    return checked(text)


def checked(text: bytes) -> bytes:
    """Give the text back if it is within 10 MiB; raises Problem 500 `result-too-large`."""
    if len(text) > MAX_RESULT_BYTES:
        raise Problem("result-too-large", f"the result has {len(text)} bytes, more than {MAX_RESULT_BYTES}")
    return text


def _model(value: Any) -> Any:  # noqa: ANN401  # whatever msgspec does not know
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"a {type(value).__name__} has no JSON form")
    return dump(mode="json")
