"""Restarts, rolling or not, lose no call that goes through the manager."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.system.fleet import Fleet, problem

CALLERS = 8
WARM = 40


class Load:
    """Steady calls through the manager, each with a number, until told to stop."""

    def __init__(self, fleet: Fleet, agent: str) -> None:
        self._fleet = fleet
        self._agent = agent
        self._stop = asyncio.Event()
        self._warm = asyncio.Event()
        self._number = 0
        self.answers: list[httpx.Response] = []

    async def _call(self) -> None:
        while not self._stop.is_set():
            self._number += 1
            self.answers.append(await self._fleet.execute(self._agent, number=self._number, seconds=0.01))
            if len(self.answers) == WARM:
                self._warm.set()

    async def during(self, story: Callable[[], Awaitable[None]]) -> list[httpx.Response]:
        """Call before, while and until the story happens; gives the answers that were not a success."""
        callers = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        try:
            await self._warm.wait()
            await story()
        finally:
            self._stop.set()
            await asyncio.gather(*callers)
        return [answer for answer in self.answers if answer.status_code != 200]


async def finished(fleet: Fleet, action: httpx.Response) -> dict[str, object]:
    """Follow an action to its end."""
    assert action.status_code == 202, action.text
    found: dict[str, object] = {}

    async def ended() -> bool:
        found.update((await fleet.client.get(action.headers["location"])).json())
        return found["state"] != "running"

    await fleet.until(ended, "the action ends", seconds=60)
    return found


async def test_restart_keeps_the_pid_and_calls_through_the_manager_are_held_and_succeed(fleet: Fleet) -> None:
    """A single instance restarts under load: every caller waits for it to be back, none fails."""
    await fleet.start_agent("one", "worker", AGENT_MAX_CONCURRENCY="16")
    old = (await fleet.instances("worker"))[0]["instanceId"]

    async def story() -> None:
        action = await finished(fleet, await fleet.act("worker", "restart"))
        assert action["state"] == "succeeded", action

    load = Load(fleet, "worker")
    assert await load.during(story) == []
    assert len(load.answers) > WARM
    (new,) = await fleet.instances("worker")
    assert new["instanceId"] != old
    assert fleet.processes["one"].poll() is None


async def test_rolling_restarts_of_two_instances_lose_nothing(fleet: Fleet) -> None:
    """Several restarts in turn under load: no call fails, and each instance has a new life each time."""
    for name in ("one", "two"):
        await fleet.start_agent(name, "worker", AGENT_MAX_CONCURRENCY="16")

    async def story() -> None:
        for _ in range(3):
            action = await finished(fleet, await fleet.act("worker", "restart"))
            assert action["state"] == "succeeded", action
            assert len({one["successor"] for one in action["instances"]}) == 2  # type: ignore[attr-defined]  # JSON

    load = Load(fleet, "worker")
    assert await load.during(story) == []
    assert len(load.answers) > 100


async def test_a_signal_drains_and_the_listing_says_so_at_once(fleet: Fleet, tmp_path: Path) -> None:
    """With a task in flight it is listed as stopping, the task finishes, the other instance takes the calls."""
    await fleet.start_agent("one", "worker", AGENT_MAX_CONCURRENCY="4")
    end = tmp_path / "end"
    long = asyncio.create_task(fleet.execute("worker", until=str(end), number=1))

    async def running() -> bool:
        return sum(one["running"] for one in await fleet.instances("worker")) == 1 or bool(
            (await fleet.client.get("/api/agent-services/worker/status")).json()["instances"][0]["tasks"]
        )

    await fleet.until(running, "the task runs")
    await fleet.start_agent("two", "worker", AGENT_MAX_CONCURRENCY="4")
    fleet.signal("one", signal.SIGTERM)

    async def stopping() -> bool:
        return "stopping" in [one["state"] for one in await fleet.instances("worker")]

    await fleet.until(stopping, "it is listed as stopping", seconds=1.0)
    assert (await fleet.execute("worker", number=2)).status_code == 200
    end.touch()
    assert (await long).json()["result"] == {"number": 1}
    assert await fleet.exit_code("one") == 0


async def test_stop_ends_the_agent_and_nothing_is_held(fleet: Fleet) -> None:
    """After a stop through the API calls are refused at once."""
    await fleet.start_agent("one", "worker")
    await finished(fleet, await fleet.act("worker", "stop"))
    assert await fleet.exit_code("one") == 0
    async with asyncio.timeout(1.0):
        answer = await fleet.execute("worker")
    assert answer.status_code in (409, 503)
    assert (await fleet.listing())["worker"]["state"] == "stopped"


async def test_a_paused_agent_refuses_and_a_newcomer_comes_up_paused(fleet: Fleet) -> None:
    """What an operator ordered holds for instances that come later, and over a manager's restart."""
    await fleet.start_agent("one", "worker")
    await finished(fleet, await fleet.act("worker", "pause"))
    assert problem(await fleet.execute("worker"))["code"] == "paused"
    fleet.signal("manager", signal.SIGKILL)
    await fleet.exit_code("manager")
    await fleet.start_manager()

    async def paused() -> bool:
        agent = (await fleet.listing()).get("worker", {})
        return (agent.get("state"), agent.get("desiredState")) == ("paused", "paused")

    await fleet.until(paused, "the manager knows that it is paused")
    await finished(fleet, await fleet.act("worker", "resume"))
    assert (await fleet.execute("worker", number=3)).json()["result"] == {"number": 3}


@pytest.mark.parametrize("chunks", [3])
async def test_a_stream_passes_through_and_agents_call_one_another(fleet: Fleet, chunks: int) -> None:
    """Chunks come as events through the manager, and an agent reaches another by its id."""
    await fleet.start_agent("one", "streamer", "stream")
    await fleet.start_agent("two", "relay", "relay")
    answer = await fleet.execute("streamer", {"Accept": "text/event-stream"}, chunks=chunks)
    assert answer.text.count("event: chunk") == chunks
    assert answer.text.count("event: result") == 1
    relayed = await fleet.execute("relay", agent="streamer", parameters={"chunks": 2})
    assert relayed.json()["result"] == [{"number": 0}, {"number": 1}]


async def test_async_results_survive_the_instance_that_made_them(fleet: Fleet) -> None:
    """A finished result that nobody fetched is handed over, and the manager serves it."""
    await fleet.start_agent("one", "worker")
    accepted = await fleet.execute("worker", {"Prefer": "respond-async"}, seconds=0.5, number=9)
    fleet.signal("one", signal.SIGTERM)
    assert await fleet.exit_code("one") == 0
    answer = await fleet.client.get(accepted.headers["location"])
    assert answer.json()["state"] == "succeeded"
    assert answer.json()["result"] == {"number": 9}


async def test_the_listing_has_the_schema_that_the_agent_annotated(fleet: Fleet) -> None:
    """The schema is known only once the agent is imported, after the first registration: the listing learns it."""
    await fleet.start_agent("one", "typed", "typed")

    async def known() -> bool:
        schema = (await fleet.listing())["typed"]["parametersSchema"]
        return schema is not None and schema["properties"] == {"text": {"type": "string"}}

    await fleet.until(known, "the schema is listed")
