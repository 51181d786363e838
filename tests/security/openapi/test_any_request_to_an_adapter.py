"""Whatever a client sends, an adapter answers it with a problem of the table, and never with a fault of its own.

It has no OpenAPI document: agents' authors read docs/adapter.md, and programs call a manager, which has one.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import httpx
from agent_contract.problems import MEDIA_TYPE, STATUS_OF
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES: Final = 5_000 if os.environ.get("TEST_PROFILE") == "full" else 500
SERVED: Final = (
    *[("POST", "execute")] * 6,
    *[("POST", "action")] * 2,
    ("PATCH", "drain"),
    ("DELETE", "drain"),
    *[("GET", path) for path in ("tasks", "tasks", "logs", "drain", "info", "status", "ready", "health", "metrics")],
    *[(method, "tasks/0190a1b2-0000-7000-8000-000000000000") for method in ("GET", "DELETE")],
)
"""What there is, and most often what reads a body."""
METHODS: Final = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "PURGE")
ENDS_IT: Final = {b"stop", b"restart"}
"""Orders that it obeys: tests of their own give them."""

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
bodies = st.one_of(
    st.fixed_dictionaries({"parameters": st.dictionaries(st.text(max_size=8), json_like, max_size=3)}),
    st.fixed_dictionaries(
        {"action": st.sampled_from(["pause", "resume", "fly", ""])}, optional={"timeoutSeconds": json_like}
    ),
    st.fixed_dictionaries({"timeoutSeconds": json_like}),
    st.fixed_dictionaries({"parameters": json_like, "more": json_like}),
    json_like,
)
raw = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"[" * 20_000, b'{"parameters":' * 20_000, b'{"parameters":{}}x', b'{"parameters":{"a":"\xff"}}']),
)
visible = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Accept",
            "Prefer",
            "Idempotency-Key",
            "X-Task-Id",
            "X-Agent-Caller",
            "traceparent",
            "tracestate",
            "baggage",
            "Content-Type",
            "X-Manager-Token",
            "Authorization",
            "Accept-Encoding",
            "Range",
            "If-Match",
        ]
    ),
    visible | st.sampled_from(["text/event-stream", "application/json", "respond-async", "wait=0", "*/*", "00-0-0-0"]),
    max_size=4,
)
queries = st.dictionaries(
    st.sampled_from(["lines", "state", "limit", "key", "other"]), st.text(max_size=12), max_size=2
)
paths = st.sampled_from([path for _, path in SERVED]) | st.text(max_size=20).map(lambda text: f"tasks/{quote(text)}")
places = st.integers(0, 9).flatmap(
    lambda one: st.sampled_from(SERVED) if one else st.tuples(st.sampled_from(METHODS), paths)
)


def judge(method: str, answer: httpx.Response) -> None:
    """Hold that an answer is sound, or a problem of the table with its status."""
    assert answer.status_code != 500, (answer.request, answer.request.content, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        problem = answer.json()
        assert answer.headers["content-type"] == MEDIA_TYPE.decode(), answer.text
        assert STATUS_OF[problem["code"]] == problem["status"] == answer.status_code
    if answer.status_code >= 502:
        assert answer.json()["code"] in {"at-capacity", "starting", "logs-unavailable", "unavailable"}, answer.text


def ask_anything(url: str, answers: Counter[int]) -> None:
    """Send any requests, and judge each answer."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:

        @given(places, queries, headers, st.one_of(bodies, bodies, raw))
        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        def one(place: tuple[str, str], query: dict[str, str], named: dict[str, str], body: Any) -> None:
            method, path = place
            content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
            request = client.build_request(method, f"/{path}", params=query, headers=named, **content)
            if any(word in request.content for word in ENDS_IT):
                return
            answer = client.send(request)
            answers[answer.status_code] += 1
            judge(method, answer)

        one()


async def test_no_request_to_an_adapter_is_a_fault_of_its_own(start: Callable[..., Any]) -> None:
    """Five hundred requests, five thousand in the full profile, and it serves on."""
    adapter, answers = await start("echo", maxConcurrency=4), Counter[int]()
    await asyncio.to_thread(ask_anything, f"http://127.0.0.1:{adapter.port}", answers)
    await adapter.client.post("/action", json={"action": "resume"})
    assert (await adapter.execute({"a": 1})).json()["result"] == {"a": 1}
    assert answers.total() >= CASES * 0.95
    assert {200, 400, 404, 405, 415} <= set(answers), answers
