"""Who may do what at an adapter: every route with no token, a wrong one, another agent's, an old one, the right one."""

import time
from collections.abc import Callable, Iterator

import jwt
import pytest
from agent_adapter.app import OPEN, ROUTES
from agent_contract.tokens import signing_key

from tests.adapter.conftest import StartAdapter
from tests.adapter.running_adapter import RunningAdapter


def routes() -> Iterator[tuple[str, str]]:
    """Give the method and the path of every route; of the raw one, execute, the framework knows no method."""
    for handler in ROUTES:
        for path in handler.paths:
            for method in sorted(getattr(handler, "http_methods", {"POST"}) - {"OPTIONS", "HEAD"}):
                yield method, path.replace("{task_id:str}", "nobody's")


def signed(by: str, agent: str = "sample", seconds: int = 60) -> str:
    """Give what a manager signs, good for so long from now."""
    now = int(time.time()) + seconds - 60
    return jwt.encode({"iss": "agent-manager", "aud": agent, "iat": now, "exp": now + 60}, signing_key(by.encode()))


async def answers(adapter: RunningAdapter, token: str | None, *, open_ones: bool = False) -> set[int]:
    """Give what the routes that are closed (or those that are open) answer to this token."""
    headers = {} if token is None else {"x-manager-token": token}
    found = {
        (method, path): (await adapter.client.request(method, path, headers=headers)).status_code
        for method, path in routes()
        if (path in OPEN) is open_ones
    }
    assert len(found) > (2 if open_ones else 10)
    return set(found.values())


def test_only_probes_and_scrapers_may_come_without_a_token() -> None:
    """And they are routes."""
    assert {"/health", "/ready", "/metrics"} == OPEN
    assert {path for _, path in routes()} > OPEN


async def test_without_a_token_every_route_is_401(start: StartAdapter) -> None:
    """But health, readiness and metrics."""
    adapter = await start(process={"MANAGER_TOKEN": "own-secret"})
    assert await answers(adapter, None) == {401}
    assert await answers(adapter, None, open_ones=True) == {200}


@pytest.mark.parametrize(
    "token",
    [
        *(lambda: "wrong", lambda: "", lambda: "own-secre", lambda: "own-secret2", lambda: "a.b.c"),
        *(lambda: signed("other-secret"), lambda: signed("own-secret", agent="other")),
        lambda: signed("own-secret", seconds=-60),
    ],
    ids=["wrong", "empty", "shorter", "longer", "no-jwt", "another-agents", "for-another-agent", "expired"],
)
async def test_with_a_wrong_token_every_route_is_403(start: StartAdapter, token: Callable[[], str]) -> None:
    """A wrong one, another agent's, one that is meant for another agent, one that is over."""
    adapter = await start(process={"MANAGER_TOKEN": "own-secret"})
    assert await answers(adapter, token()) == {403}
    assert await answers(adapter, token(), open_ones=True) == {200}
    assert adapter.lifecycle.state == "running"


@pytest.mark.parametrize("by", ["own-secret", "older-secret"])
async def test_the_right_token_opens_every_route(start: StartAdapter, by: str) -> None:
    """Any of those that are accepted, or what one of them signed for this agent."""
    adapter = await start(process={"MANAGER_TOKEN": "own-secret,older-secret"})
    assert await answers(adapter, by) & {401, 403} == set()
    assert await answers(adapter, signed(by)) & {401, 403} == set()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_page_by_a_name_of_its_own_is_refused(start: StartAdapter, method: str) -> None:
    """Where nobody is asked for a token it answers to names of this machine alone, and to every probe."""
    adapter = await start()
    headers = {"Host": "evil.test", "Origin": "http://evil.test", "Sec-Fetch-Site": "same-origin"}
    path = "/tasks" if method == "GET" else "/execute"
    answer = await adapter.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "MANAGER_TOKEN_FILE" in answer.json()["detail"]
    assert [(await adapter.client.get(path, headers=headers)).status_code for path in sorted(OPEN)] == [200] * len(OPEN)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}])
async def test_a_page_of_another_origin_changes_nothing(start: StartAdapter, headers: dict[str, str]) -> None:
    """It can have a browser send a simple POST; what that browser says of itself gives it away."""
    adapter = await start()
    for path, body in (("/execute", {"parameters": {}}), ("/action", {"action": "stop"})):
        assert (await adapter.client.post(path, json=body, headers=headers)).status_code == 403
    assert (await adapter.client.get("/status")).json()["status"] == "running"
