"""The API as an OpenAPI 3.1 document, made from the table of routes: what is not in the table is not in the API."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from agent_contract import __version__
from agent_contract.problems import STATUS_OF
from msgspec import Struct

from agent_manager.access import Who
from agent_manager.handlers.parameters import HEADERS, PATH, QUERY
from agent_manager.handlers.routes import Route

_REF: Final = "#/components/schemas/{name}"
_BODY_PROBLEMS: Final = ("bad-request", "body-too-large", "unsupported-media-type")
_CREDENTIAL_PROBLEMS: Final = ("unauthenticated", "forbidden")
_SECURITY: Final[dict[Who, list[dict[str, list[str]]]]] = {
    Who.ANYONE: [],
    Who.ADAPTER: [{"managerToken": []}, {}],
    Who.VIEWER: [{"apiKey": []}, {}],
    Who.OPERATOR: [{"apiKey": []}, {}],
    Who.ADMIN: [{"apiKey": []}, {}],
    Who.CALLER: [{"apiKey": []}, {"managerToken": []}, {}],
}
_SCHEMES: Final = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "A line of MANAGER_API_KEYS_FILE."},
    "managerToken": {"type": "apiKey", "in": "header", "name": "X-Manager-Token"},
}


class ProblemBody(Struct):
    """RFC 9457. Further members are `field`, `started`, `outcome`, `taskId` and what the code's page says."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def document(routes: Sequence[Route]) -> bytes:
    """Give the JSON text of the document."""
    kinds = [kind for route in routes for kind in (route.takes, route.gives) if _is_type(kind)]
    schemas, components = msgspec.json.schema_components([*kinds, ProblemBody], ref_template=_REF)
    schema_of = dict(zip(map(_key, [*kinds, ProblemBody]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[_path(route.path)][route.method.lower()] = _operation(route, schema_of)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Agent manager", "version": __version__, "description": "Agents under management."},
            "paths": paths,
            "components": {"schemas": components, "securitySchemes": _SCHEMES},
        }
    )


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "tags": [route.who.name.lower()],
        "security": _SECURITY[route.who],
        "parameters": _parameters(route),
        "responses": _responses(route, schema_of),
    }
    if route.takes is not None:
        content = {"application/json": {"schema": schema_of[_key(route.takes)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)(?::\w+)?}", route.path)
    path = [{"name": _camel(name), "in": "path", "required": True, **PATH[name]} for name in names]
    query = [{"name": name, "in": "query", "required": False, **QUERY[name]} for name in route.query]
    headers = [{"name": name, "in": "header", "required": False, **HEADERS[name]} for name in route.headers]
    return [*path, *query, *headers]


def _responses(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if isinstance(route.gives, str):
        content[route.gives] = {"schema": {}}
    elif route.gives is not None:
        content["application/json"] = {"schema": schema_of[_key(route.gives)]}
    if route.streams is not None:
        content["text/event-stream"] = {"schema": {"type": "string", "description": route.streams}}
    responses: dict[str, Any] = {str(route.status): {"description": route.summary}}
    if content:
        responses[str(route.status)]["content"] = content
    for status, codes in sorted(_problems(route).items()):
        described = ", ".join(f"`{code}`" for code in codes)
        problem = {"application/problem+json": {"schema": schema_of[_key(ProblemBody)]}}
        responses[str(status)] = {"description": described, "content": problem}
    return responses


def _problems(route: Route) -> dict[int, list[str]]:
    codes = [*route.problems, "internal-error"]
    if route.takes is not None:
        codes += _BODY_PROBLEMS
    if route.query:
        codes.append("bad-request")
    if route.who is not Who.ANYONE:
        codes += _CREDENTIAL_PROBLEMS
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[STATUS_OF[code]].append(code)
        if code == "outcome-unknown":
            by_status[504].append(code)
    return by_status


def _path(path: str) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda match: f"{{{_camel(match[1])}}}", path)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_type(kind: Any) -> bool:  # noqa: ANN401  # a type, a media type or nothing
    return kind is not None and not isinstance(kind, str)


def _key(kind: Any) -> str:  # noqa: ANN401  # a type
    return repr(kind)
