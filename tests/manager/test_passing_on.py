"""What crosses to the manager that acts, and what its silence means."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.problems import Problem
from agent_contract.serving import Server, listen
from agent_manager.agent_client import AgentClient, Origin
from agent_manager.holder import HolderLink, Passed
from agent_manager.leadership import Holder


class Follower:
    """A manager that knows who acts."""

    is_leader = False
    trouble = None

    def __init__(self, origin: Origin | None) -> None:
        self.lost: list[Callable[[], None]] = []
        self.holder = Holder("other", origin)


class Asked(NamedTuple):
    """What arrived at the holder."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """The holder: answers 409 with a body of its own, or nothing."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.silent = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        self.asked.append(Asked(scope["method"], target, headers, await read_body(receive, 1000)))
        if self.silent:
            await asyncio.Event().wait()
        await send_answer(send, 409, [(b"retry-after", b"9")], b"as it is")


class Stage(NamedTuple):
    """A holder that listens, and another manager's link to it."""

    holder: StandIn
    link: HolderLink
    server: Server


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Give both."""
    holder, client, sockets = StandIn(), AgentClient(), listen("127.0.0.1", 0)
    server = Server(holder, sockets)
    await server.start()
    origin = Origin("127.0.0.1", sockets[0].getsockname()[1])
    yield Stage(holder, HolderLink(Follower(origin), client), server)
    await client.close()
    server.abort()
    await server.leave(unfinished_seconds=0)


def order(**headers: str) -> Passed:
    """Give a request as it came from a client."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Passed("POST", "/api/agent-services/echo/action?a=b%20c", named, b'{"action":"stop"}')


async def test_the_holder_gets_what_it_needs_to_judge_by_itself(stage: Stage) -> None:
    """The client's credentials and trace, the very bytes of its order, and that it was passed on; nothing else."""
    request = order(
        authorization="Bearer key",
        cookie="session=1",
        content_type="application/json",
        x_requested_with="console",
        traceparent="00-1-2-01",
        x_manager_token="never",  # noqa: S106  # a name of a header
        x_agent_caller="never",
        origin="https://console.example",
        host="console.example",
        connection="close",
        forwarded="for=1.2.3.4",
    )
    answer = await stage.link.order(request, anywhere=False)
    assert answer is not None
    assert (answer.status, answer.body) == (409, b"as it is")
    (asked,) = stage.holder.asked
    assert (asked.method, asked.target, asked.body) == (request.method, request.target, request.body)
    sent = {name for name in asked.headers if name not in ("host", "content-length")}
    assert sent == {
        "authorization",
        "cookie",
        "content-type",
        "x-requested-with",
        "traceparent",
        "x-agent-manager-passed-on",
    }
    assert asked.headers["host"] != "console.example"


async def test_what_was_passed_on_is_not_passed_on(stage: Stage) -> None:
    """It is for this manager to carry out, or to refuse."""
    assert await stage.link.order(order(x_agent_manager_passed_on="1"), anywhere=False) is None
    assert stage.holder.asked == []


@pytest.mark.parametrize("origin", [None, Origin("127.0.0.1", 1)])
async def test_a_holder_that_cannot_be_reached_got_nothing(origin: Origin | None) -> None:
    """What any manager may do is done here; the rest is refused by who gives the order, or at once."""
    client = AgentClient()
    link = HolderLink(Follower(origin), client)
    assert await link.order(order(), anywhere=True) is None
    assert await link.look(order()) is None
    if origin is None:
        assert await link.order(order(), anywhere=False) is None
    else:
        with pytest.raises(Problem) as caught:
            await link.order(order(), anywhere=False)
        assert (caught.value.code, caught.value.headers) == ("no-leader", {"Retry-After": "3"})
        assert "cannot connect" in caught.value.detail
    await client.close()


@pytest.mark.parametrize(("anywhere", "code"), [(True, None), (False, "outcome-unknown")])
async def test_a_holder_that_is_silent_may_have_acted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, anywhere: Any, code: str | None
) -> None:
    """After half a minute, here a tenth of a second: what does no harm twice is done here, the rest is unknown."""
    monkeypatch.setattr("agent_manager.holder.ORDER_SECONDS", 0.1)
    stage.holder.silent = True
    if code is None:
        assert await stage.link.order(order(), anywhere=anywhere) is None
        return
    with pytest.raises(Problem) as caught:
        await stage.link.order(order(), anywhere=anywhere)
    assert (caught.value.code, caught.value.status, caught.value.extra) == (code, 502, {"outcome": "unknown"})
