"""What a request's body must be, and what is said of one that is not."""

import json
from typing import Any

import pytest

from tests.adapter.conftest import StartAdapter

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"{}", "parameters"),
        (b'{"parameters":null}', "parameters"),
        (b'{"parameters":[]}', "parameters"),
        (b'{"parameters":{},"colour":1}', "colour"),
        (b'{"parameters":{}}x', "body"),
        (b'{"parameters":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}", "body"),
    ],
)
async def test_a_wrong_body_is_400_with_the_field(start: StartAdapter, body: bytes, field: str) -> None:
    """Not JSON, no `parameters` object, an unknown member, nested 5,000 deep: the caller's mistake, every time."""
    adapter = await start()
    answer = await adapter.client.post("/execute", content=body, headers=JSON)
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (400, "bad-request", field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (found["type"], found["title"], found["status"]) == ("about:blank", "Bad Request", 400)


async def test_what_can_be_read_can_be_given_back(start: StartAdapter) -> None:
    """However deep it is nested: a body is 400 or its echo, never a 500."""
    adapter = await start()
    for depth in (10, 100, 500, 900, 1000, 1100):
        body = b'{"parameters":{"a":' + b"[" * depth + b"]" * depth + b"}}"
        answer = await adapter.client.post("/execute", content=body, headers=JSON)
        assert answer.status_code in (200, 400), (depth, answer.text)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_another_content_type_is_415(start: StartAdapter, content_type: str) -> None:
    """It says what would be accepted."""
    adapter = await start()
    for method, path in (("POST", "/execute"), ("POST", "/action"), ("PATCH", "/drain")):
        answer = await adapter.client.request(method, path, content=b"{}", headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
        assert answer.headers["Accept"] == "application/json"


@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "Application/JSON; charset=utf-8"}])
async def test_json_or_no_content_type_is_read(start: StartAdapter, headers: dict[str, str]) -> None:
    """None counts as JSON."""
    adapter = await start()
    answer = await adapter.client.post("/execute", content=b'{"parameters":{}}', headers=headers)
    assert answer.status_code == 200


async def test_a_body_over_the_limit_is_413(start: StartAdapter) -> None:
    """Whether its length was said or not; one of exactly the limit is read."""
    adapter = await start(process={"AGENT_MAX_BODY_BYTES": "100"})
    fits = json.dumps({"parameters": {"a": ""}}).encode()
    fits = fits.replace(b'""', b'"' + b"x" * (100 - len(fits)) + b'"')
    assert (await adapter.client.post("/execute", content=fits)).status_code == 200

    async def pieces() -> Any:
        yield fits
        yield b" "

    for content in (fits + b" ", pieces()):
        answer = await adapter.client.post("/execute", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_an_order_has_a_limit_of_its_own(start: StartAdapter) -> None:
    """It is a word and a number."""
    adapter = await start()
    answer = await adapter.client.post("/action", content=b" " * 100_000, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": "start"}, "action"),
        ({"action": "explode"}, "action"),
        ({"action": "stop", "timeoutSeconds": -1}, "timeoutSeconds"),
        ({"action": "stop", "timeoutSeconds": "5"}, "timeoutSeconds"),
        ({"action": "stop", "timeoutSeconds": 1e9}, "timeoutSeconds"),
        ({"action": "stop", "timeout": 5}, "timeout"),
        (["stop"], "body"),
    ],
)
async def test_a_wrong_order_is_400_with_the_field(start: StartAdapter, body: Any, field: str) -> None:
    """And nothing is obeyed."""
    adapter = await start()
    answer = await adapter.client.post("/action", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad-request", field)
    assert adapter.lifecycle.state == "running"


@pytest.mark.parametrize("body", [{}, {"timeoutSeconds": -1}, {"timeoutSeconds": None}, {"deadline": 1}])
async def test_a_wrong_steering_is_400(start: StartAdapter, body: Any) -> None:
    """Before it is looked whether there is a drain."""
    answer = await (await start()).client.patch("/drain", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/logs?lines=0", "lines"),
        ("/logs?lines=5001", "lines"),
        ("/logs?lines=-1", "lines"),
        ("/logs?lines=ten", "lines"),
        ("/logs?lines=1e2", "lines"),
        ("/logs?lines=" + "9" * 30, "lines"),
        ("/logs?follow=maybe", "follow"),
        ("/tasks?limit=0", "limit"),
        ("/tasks?limit=%C2%B2", "limit"),
        ("/tasks?state=done", "state"),
    ],
)
async def test_a_wrong_query_value_is_400_with_its_name(start: StartAdapter, path: str, field: str) -> None:
    """Strictly: no sign, no exponent, nothing out of range."""
    answer = await (await start()).client.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad-request", field)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_wrong_idempotency_key_is_400(start: StartAdapter, key: str) -> None:
    """1 to 255 printable characters."""
    answer = await (await start()).execute(idempotency_key=key)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
