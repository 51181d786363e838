"""Results as JSON text: what can be one, what cannot, and how large."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from agent_adapter.agents.encoding import MAX_RESULT_BYTES, checked, encode
from agent_contract.problems import Problem


class Colour(Enum):
    """One of a few."""

    RED = "red"


class Model(pydantic.BaseModel):
    """A pydantic model."""

    at: datetime
    inner: "Model | None" = None


@dataclass
class Data:
    """A dataclass."""

    models: list[Model]


MODEL = Model(at=datetime(2030, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, b"null"),
        ({"a": (1, 2.5, True)}, b'{"a":[1,2.5,true]}'),
        ("ü\u2028", '"ü\u2028"'.encode()),
        (datetime(2030, 1, 2, tzinfo=UTC), b'"2030-01-02T00:00:00Z"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.10"), b'"1.10"'),
        (Colour.RED, b'"red"'),
        (float("nan"), b"null"),
        (msgspec.Raw(b'{"raw":1}'), b'{"raw":1}'),
        (MODEL, b'{"at":"2030-01-02T00:00:00Z","inner":null}'),
        (Data([MODEL]), b'{"models":[{"at":"2030-01-02T00:00:00Z","inner":null}]}'),
        ({1: "a"}, b'{"1":"a"}'),
    ],
)
def test_what_has_a_json_form_is_encoded(result: Any, text: bytes) -> None:
    """What msgspec encodes, and pydantic models wherever they stand."""
    assert encode(result) == text


def deep() -> list[Any]:
    """Give lists in lists, 100,000 deep."""
    result: list[Any] = []
    for _ in range(100_000):
        result = [result]
    return result


def cyclic() -> list[Any]:
    """Give a list that holds itself."""
    result: list[Any] = []
    result.append(result)
    return result


@pytest.mark.parametrize("result", [object(), {object(): 1}, lambda: None, "\ud800", deep(), cyclic()])
def test_what_has_none_is_the_agents_failure(result: Any) -> None:
    """In words, never with a crash."""
    with pytest.raises(Problem, match="cannot encode the result") as caught:
        encode(result)
    assert (caught.value.code, caught.value.status) == ("agent-failed", 500)


def test_a_result_has_at_most_10_mib() -> None:
    """To the byte."""
    assert checked(b"x" * MAX_RESULT_BYTES)
    with pytest.raises(Problem) as caught:
        checked(b"x" * (MAX_RESULT_BYTES + 1))
    assert (caught.value.code, caught.value.status) == ("result-too-large", 500)
