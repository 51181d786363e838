"""What the earlier system got wrong, each point as it was seen there."""

import asyncio
from signal import SIGTERM

from tests.processes.conftest import Launch

CONCURRENT = {"AGENT_MAX_CONCURRENCY": "4"}


async def test_all_tasks_in_flight_finish_before_it_leaves(launch: Launch) -> None:
    """Two tasks, one five times as long, then a stop: the earlier one left after the shorter and killed the longer."""
    adapter = await launch(**CONCURRENT)
    calls = [asyncio.create_task(adapter.execute({"seconds": seconds})) for seconds in (0.2, 1.0)]
    await adapter.begun(2)
    await adapter.act("stop")
    assert [(await call).status_code for call in calls] == [200, 200]
    assert await adapter.exited() == 0


async def test_a_failed_task_is_off_the_table(launch: Launch) -> None:
    """It stayed in `current_task`, and a later stop waited out the whole timeout."""
    adapter = await launch()
    assert (await adapter.execute({"fail": True})).status_code == 500
    assert (await adapter.status())["current_task"] is None
    began = asyncio.get_running_loop().time()
    await adapter.act("stop", timeoutSeconds=60)
    assert await adapter.exited() == 0
    assert asyncio.get_running_loop().time() - began < 5


async def test_the_answer_to_a_stop_always_arrives(launch: Launch) -> None:
    """It was lost 20 of 20 times; here each restart and the stop behind them answer before the process goes."""
    adapter = await launch("sample:echo")
    for action in ["restart"] * 2 + ["stop"]:
        seen = len(adapter.lines)
        assert (await adapter.act(action))["status"] == "stopping"
        if action == "restart":
            await adapter.up(since=seen)
    assert await adapter.exited() == 0


async def test_after_a_signal_it_still_answers(launch: Launch) -> None:
    """/health was refused after SIGTERM; now it is 200, work is 409, and the running task finishes."""
    adapter = await launch()
    call = asyncio.create_task(adapter.execute({"seconds": 0.5}))
    await adapter.begun()
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    assert (await adapter.client.get("/health")).status_code == 200
    assert (await adapter.client.get("/ready")).status_code == 503
    refused = await adapter.execute()
    assert (refused.status_code, refused.headers["X-Agent-Refused"]) == (409, "stopping")
    assert (await call).status_code == 200
    assert await adapter.exited() == 0


async def test_nothing_resumes_a_drain(launch: Launch) -> None:
    """`resume` answered 200 and `running` while the process was leaving."""
    adapter = await launch()
    call = asyncio.create_task(adapter.execute({"seconds": 1.5}))
    await adapter.begun()
    await adapter.act("stop")
    answer = await adapter.client.post("/action", json={"action": "resume"})
    assert (answer.status_code, answer.json()["code"]) == (409, "stopping")
    assert (await adapter.status())["status"] == "stopping"
    assert (await call).status_code == 200
    assert await adapter.exited() == 0
