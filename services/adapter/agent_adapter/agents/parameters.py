"""Parameters: their schema from an annotation, the typed form of a call's, and whose mistake a bad one is."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from agent_adapter.errors import Rejected

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `(.+)`")


class Parameters(Protocol):
    """A way to check parameters."""

    schema: dict[str, Any] | None

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # the annotated form
        """Give the form that the agent wants; raises Rejected."""


class Unchecked:
    """Parameters of which nobody said anything: they are given as they came."""

    schema: dict[str, Any] | None = None

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as the protocol says
        """Give them as they are."""
        return parameters


class Annotated:
    """Parameters annotated with a TypedDict, dataclass or Struct."""

    def __init__(self, annotation: Any) -> None:  # noqa: ANN401  # a type
        self._annotation = annotation
        self.schema: dict[str, Any] | None = _plain_schema(annotation)

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # the annotated form
        """Give the annotated form; members that it does not know are ignored."""
        try:
            return msgspec.convert(parameters, self._annotation)
        except msgspec.ValidationError as error:
            raise _rejected(str(error)) from error


class PydanticModel:
    """Parameters annotated with a pydantic model; pydantic itself is the agent's, never ours."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401  # a pydantic.BaseModel class
        self._model = model
        self.schema: dict[str, Any] | None = model.model_json_schema()

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # the model
        """Give the model's instance."""
        try:
            return self._model.model_validate(parameters)
        except ValueError as error:  # pydantic's ValidationError is one
            first = error.errors()[0]  # type: ignore[attr-defined]  # pydantic is not ours to import
            raise Rejected(str(first["msg"]), field_path(first["loc"])) from error


class JsonSchema:
    """Parameters described by a schema of the configuration, checked by jsonschema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator  # noqa: PLC0415  # 60 ms that only such an agent pays

        Draft202012Validator.check_schema(schema)
        self._validator = Draft202012Validator(schema)
        self.schema: dict[str, Any] | None = schema

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as they came
        """Give them as they came, when they are as the schema says."""
        error = next(iter(self._validator.iter_errors(parameters)), None)
        if error is None:
            return parameters
        path = list(error.absolute_path)
        if error.validator == "required":
            path += [name for name in error.validator_value if name not in error.instance][:1]
        raise Rejected(error.message, field_path(path))


def parameters_of(function: Callable[..., Any]) -> Parameters:
    """Give how a function annotated its first argument."""
    try:
        hints = typing.get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters), None)
    except (NameError, TypeError, ValueError):
        return Unchecked()  # an annotation that cannot be looked at says nothing
    annotation = hints.get(first) if first else None
    if hasattr(annotation, "model_validate") and hasattr(annotation, "model_json_schema"):
        return PydanticModel(annotation)
    if typing.is_typeddict(annotation) or dataclasses.is_dataclass(annotation) or _is_struct(annotation):
        return Annotated(annotation)
    return Unchecked()


def field_path(path: typing.Iterable[str | int]) -> str:
    """Give a path in the body: `parameters.steps[0].wait`."""
    return "parameters" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _is_struct(annotation: Any) -> bool:  # noqa: ANN401  # any annotation
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _plain_schema(annotation: Any) -> dict[str, Any]:  # noqa: ANN401  # a type
    schema = msgspec.json.schema(annotation)
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    definitions = dict(schema.get("$defs", {}))
    if name not in definitions or f"#/$defs/{name}" in str(definitions):
        return schema
    own = definitions.pop(name)
    return {**own, "$defs": definitions} if definitions else own


def _rejected(message: str) -> Rejected:
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    missing = _MISSING.search(what)
    if missing:
        path += f".{missing[1]}"
    return Rejected(what[:1].lower() + what[1:], f"parameters{path}")
