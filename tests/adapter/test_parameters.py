"""Parameters: the schema of each kind of annotation, the form that the agent gets, the path of what is wrong."""

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from agent_adapter.agents.parameters import JsonSchema, Parameters, parameters_of
from agent_adapter.errors import Rejected


class StepTyped(TypedDict):
    """A member of a member."""

    wait: float


class PlanTyped(TypedDict):
    """As a TypedDict."""

    steps: list[StepTyped]
    limit: NotRequired[int]


@dataclass
class StepData:
    """A member of a member."""

    wait: float


@dataclass
class PlanData:
    """As a dataclass."""

    steps: list[StepData] = field()
    limit: int = 3


class StepStruct(msgspec.Struct):
    """A member of a member."""

    wait: float


class PlanStruct(msgspec.Struct):
    """As a Struct."""

    steps: list[StepStruct]
    limit: int = 3


class StepModel(pydantic.BaseModel):
    """A member of a member."""

    wait: float


class PlanModel(pydantic.BaseModel):
    """As a pydantic model."""

    steps: list[StepModel]
    limit: int = 3


SCHEMA = {
    "type": "object",
    "required": ["steps"],
    "properties": {
        "steps": {
            "type": "array",
            "items": {"type": "object", "required": ["wait"], "properties": {"wait": {"type": "number"}}},
        },
        "limit": {"type": "integer"},
    },
}


def of(annotation: Any) -> Parameters:
    """Give the parameters of a function that annotated its first argument so."""

    def agent(parameters: Any, context: Any) -> None:
        del parameters, context

    agent.__annotations__["parameters"] = annotation
    return parameters_of(agent)


EACH = pytest.mark.parametrize(
    "parameters",
    [of(PlanTyped), of(PlanData), of(PlanStruct), of(PlanModel), JsonSchema(SCHEMA)],
    ids=["TypedDict", "dataclass", "Struct", "pydantic", "JSON Schema"],
)


@EACH
def test_the_schema_says_what_is_needed(parameters: Parameters) -> None:
    """An object with its members and those that must be there, at the top, not behind a reference."""
    schema = parameters.schema
    assert schema is not None
    assert schema["type"] == "object"
    assert schema["required"] == ["steps"]
    assert set(schema["properties"]) == {"steps", "limit"}


@EACH
@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "parameters.steps"),
        ({"steps": "none"}, "parameters.steps"),
        ({"steps": [], "limit": "3 or 4"}, "parameters.limit"),
        ({"steps": [{"wait": 1}, {"wait": "long"}]}, "parameters.steps[1].wait"),
        ({"steps": [{}]}, "parameters.steps[0].wait"),
        ({"steps": [1]}, "parameters.steps[0]"),
    ],
)
def test_what_is_wrong_has_its_path(parameters: Parameters, given: dict[str, Any], path: str) -> None:
    """As a path in the body."""
    with pytest.raises(Rejected) as caught:
        parameters.accept(given)
    assert (caught.value.field, bool(caught.value.detail)) == (path, True)


@EACH
def test_a_member_that_is_not_known_is_ignored(parameters: Parameters) -> None:
    """A newer caller may say more."""
    parameters.accept({"steps": [], "colour": "red"})


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (PlanTyped, {"steps": [{"wait": 1.0}]}),
        (PlanData, PlanData([StepData(1.0)])),
        (PlanStruct, PlanStruct([StepStruct(1.0)])),
        (PlanModel, PlanModel(steps=[StepModel(wait=1.0)])),
    ],
)
def test_the_agent_gets_what_it_annotated(annotation: Any, expected: Any) -> None:
    """A dict for a TypedDict."""
    found = of(annotation).accept({"steps": [{"wait": 1.0}]})
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("annotation", [Any, dict, dict[str, Any], int, None, "Unknown", list[int]])
def test_any_other_annotation_says_nothing(annotation: Any) -> None:
    """The parameters come as they are, and nobody claims to know them."""
    parameters = of(annotation)
    assert parameters.schema is None
    assert parameters.accept({"a": 1}) == {"a": 1}


def test_a_function_without_arguments_says_nothing() -> None:
    """Nor does one whose signature cannot be looked at."""
    assert parameters_of(lambda: None).schema is None
    assert parameters_of(print).schema is None


class Node(TypedDict):
    """A type that refers to itself."""

    children: list["Node"]


def test_a_type_that_refers_to_itself_keeps_its_definition() -> None:
    """It cannot be written without a reference."""
    schema = of(Node).schema
    assert schema is not None
    assert "Node" in schema["$defs"]


class Checked(pydantic.BaseModel):
    """A model with a check of its own."""

    text: str

    @pydantic.field_validator("text")
    @classmethod
    def _said(cls, text: str) -> str:
        if not text:
            raise ValueError("say something")
        return text


def test_a_models_own_check_is_the_callers_mistake() -> None:
    """With its words and its place."""
    with pytest.raises(Rejected, match="say something") as caught:
        of(Checked).accept({"text": ""})
    assert caught.value.field == "parameters.text"


@pytest.mark.parametrize(
    ("schema", "given", "path"),
    [
        ({"required": ["a", "b"]}, {"a": 1}, "parameters.b"),
        ({"additionalProperties": False}, {"a": 1}, "parameters"),
        ({"properties": {"a": {"properties": {"b": {"minimum": 3}}}}}, {"a": {"b": 1}}, "parameters.a.b"),
        ({"properties": {"a": {"dependentRequired": {"x": ["y"]}}}}, {"a": {"x": 1}}, "parameters.a"),
    ],
)
def test_any_keyword_of_json_schema_is_checked(schema: dict[str, Any], given: dict[str, Any], path: str) -> None:
    """2020-12, with the path of the value that is to blame."""
    with pytest.raises(Rejected) as caught:
        JsonSchema(schema).accept(given)
    assert caught.value.field == path
