"""Whatever a client sends, the manager answers as its own OpenAPI document says, and never with a fault of its own."""

import asyncio
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final, cast

import hypothesis
import pytest
import schemathesis
from agent_contract.problems import STATUS_OF
from agent_manager.app import openapi_document
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.manager.manager_rig import running_manager

CASES: Final = 20_000 if os.environ.get("TEST_PROFILE") == "full" else 1_000
SECONDS: Final = 10.0
"""For one answer: a call may be held for some seconds before it is refused."""
ENDLESS: Final = {"/api/events", "/api/console/feed"}
"""Streams without an end: tests of their own read them."""
STREAMS_IF: Final = ("watch", "follow")
REFUSALS: Final = {502, 503, 504}
"""Said in the document where they may be: nobody is there who could do it."""
CHECKS: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT: Final[dict[str, Any]] = json.loads(openapi_document())


def operations() -> list[Any]:
    """Give every operation of the document but the streams without an end."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    found = [cast("Any", result).ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path not in ENDLESS]


def is_free(operation: Any) -> bool:
    """Tell whether there is anything to choose in a request of this operation."""
    return bool(operation.definition.raw.get("requestBody") or operation.definition.raw.get("parameters"))


def ask_anything(operation: Any, url: str, most: int, answers: Counter[int]) -> None:
    """Send so many requests of an operation, sound and unsound ones, half of them about an agent that there is."""
    unsound = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) if is_free(operation) else st.nothing()

    @given(st.one_of(operation.as_strategy(), unsound), st.booleans())
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Any, known: bool) -> None:  # noqa: FBT001  # hypothesis gives it by place
        if known and "agentId" in (case.path_parameters or {}):
            case.path_parameters["agentId"] = "echo"
        for name in STREAMS_IF:
            (case.query or {}).pop(name, None)
        response = case.call(base_url=url, timeout=SECONDS)
        answers[response.status_code] += 1
        checks = CHECKS if response.status_code in REFUSALS else [not_a_server_error, *CHECKS]
        case.validate_response(response, checks=checks)

    with hypothesis.reporting.with_reporter(lambda _: None):
        one()


@pytest.mark.timeout(900 if CASES > 1_000 else 120)
async def test_no_request_is_answered_otherwise_than_documented() -> None:
    """A thousand requests, twenty thousand in the full profile, at a manager with two agents."""
    asked = operations()
    most = -(-CASES // sum(map(is_free, asked)))
    answers: Counter[int] = Counter()
    async with running_manager(hold_seconds=0.1) as rig:
        await rig.adapter()
        await rig.adapter("other")
        for operation in asked:
            await asyncio.to_thread(ask_anything, operation, rig.url, most, answers)
        assert (await rig.client.get("/ready")).status_code == 200
    assert answers.total() >= CASES, answers
    assert {200, 400, 404} <= set(answers), answers
    assert 500 not in answers


async def test_a_closed_manager_answers_everybody_as_documented(tmp_path: Path) -> None:
    """No key, whatever else is sent: what is not for everybody is 401."""
    open_to_all: set[int] = set()
    for name in ("token", "keys"):
        (tmp_path / name).write_text(
            "ada admin a-key-that-nobody-guesses\n" if name == "keys" else "a-token-of-adapters-alone\n"
        )
    files = {"MANAGER_TOKEN_FILE": str(tmp_path / "token"), "MANAGER_API_KEYS_FILE": str(tmp_path / "keys")}
    async with running_manager(environment=files) as rig:
        for operation in operations():
            answers: Counter[int] = Counter()
            await asyncio.to_thread(ask_anything, operation, rig.url, 5, answers)
            if "401" in operation.definition.raw["responses"]:
                assert set(answers) <= {400, 401, 404, 405, 413, 415}, (operation.label, answers)
            else:
                open_to_all |= set(answers)
    assert 200 in open_to_all


def test_every_route_and_every_error_is_documented() -> None:
    """A problem has a schema, wherever it may come; what needs a credential says 401 and 403."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            assert "500" in responses, (method, path)
            for status, response in responses.items():
                if int(status) >= 400:
                    assert "schema" in response["content"]["application/problem+json"], (method, path, status)


def test_every_code_of_a_problem_is_documented() -> None:
    """But the one for a method that a path does not have, which is no operation."""
    said = json.dumps(DOCUMENT)
    missing = {code for code in STATUS_OF if not re.search(rf"(?<![\w-]){code}(?![\w-])", said)}
    assert missing <= {"method-not-allowed"}
