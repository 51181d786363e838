"""`docker compose` under load: restarts, scaling, stops and a rollout lose no call that goes through the manager."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.stack import ROOT, Stack
from tests.system.load import under_load
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

RESTARTS = 20
BROKEN = ROOT / "tests" / "containers" / "broken.yaml"


async def test_twenty_restarts_of_all_containers_at_once_lose_nothing(client: ManagerClient, stack: Stack) -> None:
    """`docker compose restart executor` takes both containers down together: calls wait until they are back."""
    before = {one["instanceId"] for one in await client.instances("executor")}

    async def nobody_waits() -> bool:
        return await client.metric("agent_manager_held_requests", agent="executor") == 0

    async def story() -> None:
        for _ in range(RESTARTS):
            await asyncio.to_thread(stack.run, "restart", "executor")
            await client.until_running("executor", 2)
            await client.until(nobody_waits, "those who waited are served")

    await under_load(client, story)
    assert before & {one["instanceId"] for one in await client.instances("executor")} == set()


async def test_scaling_up_and_down_loses_nothing(client: ManagerClient, stack: Stack) -> None:
    """Newcomers are called as soon as they run; those that leave drain first, each of them cleanly."""
    clean = await client.metric("agent_manager_drains_total", agent="executor", outcome="clean")

    async def story() -> None:
        for replicas in (4, 1, 3, 2):
            await asyncio.to_thread(stack.scale, "executor", replicas)
            await client.until_running("executor", replicas)

    load = await under_load(client, story)
    assert await client.metric("agent_manager_drains_total", agent="executor", outcome="clean") - clean == 4
    assert len({reply.headers["x-agent-instance"] for reply in load.replies}) > 3


async def test_a_rollout_replaces_every_container_and_loses_nothing(client: ManagerClient, stack: Stack) -> None:
    """The new one runs before an old one drains, and none of the old is left."""
    before = {one.id for one in stack.containers("executor")}

    async def story() -> None:
        ran = await asyncio.to_thread(_rollout, stack)
        assert ran.returncode == 0, ran.stderr

    await under_load(client, story)
    after = {one.id for one in stack.containers("executor")}
    assert len(after) == 2
    assert before & after == set()


async def test_a_rollout_to_something_that_does_not_run_leaves_the_old_ones_serving(
    client: ManagerClient, stack: Stack
) -> None:
    """A bad release is removed again, the command fails, and no call noticed."""
    before = {one.id for one in stack.containers("executor")}

    async def story() -> None:
        ran = await asyncio.to_thread(_rollout, stack, BROKEN, ROLLOUT_READY_SECONDS="5")
        assert ran.returncode == 1
        assert "was not ready within 5 s" in ran.stderr

    await under_load(client, story)
    assert {one.id for one in stack.containers("executor")} == before


async def test_a_stop_drains_the_work_in_hand(client: ManagerClient, stack: Stack) -> None:
    """Tasks of 1, 3 and 5 s finish, the listing says stopping meanwhile, and the exit code is 0."""
    tasks = [asyncio.create_task(client.steps({"wait": seconds})) for seconds in (1, 3, 5)]

    async def all_run() -> bool:
        return [one["running"] for one in await client.instances("executor")] in ([1, 2], [2, 1])

    await client.until(all_run, "the three tasks run")
    stopping = asyncio.create_task(asyncio.to_thread(stack.run, "stop", "executor"))

    async def says_so() -> bool:
        return "stopping" in {one["state"] for one in await client.instances("executor")}

    await client.until(says_so, "the listing says stopping")
    assert [(await task).json()["result"]["results"] for task in tasks] == [[{"waited": n}] for n in (1, 3, 5)]
    await stopping
    assert [one.attrs["State"]["ExitCode"] for one in stack.containers("executor")] == [0, 0]
    assert (await client.agent("executor"))["state"] == "stopped"
    assert (await client.execute("planner", goal="count the words of README.md")).status_code == 200


async def test_a_stop_through_the_manager_lasts_and_start_is_the_platforms(client: ManagerClient, stack: Stack) -> None:
    """The containers exit 0 and are not started again; the manager says what to type, and that works."""
    path = "/api/agent-services/planner/action"
    assert (await client.http.post(path, json={"action": "stop"})).status_code == 202
    (planner,) = stack.containers("planner")
    assert planner.wait(timeout=20)["StatusCode"] == 0
    refused = await client.http.post(path, json={"action": "start"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not-supported")
    assert "docker compose start planner" in refused.json()["detail"]
    planner.reload()
    assert planner.status == "exited"
    await asyncio.to_thread(stack.run, "start", "planner")
    await client.until_running("planner", 1)


def _rollout(stack: Stack, *files: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = dict(os.environ)
    environment["COMPOSE_FILE"] = ":".join([*(stack.compose.compose_file_name or []), *map(str, files)])
    environment |= dict(line.split("=", 1) for line in stack.environment.read_text().splitlines())
    command = [str(ROOT / "deploy" / "compose" / "rollout"), "executor"]
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, env={**environment, **settings}
    )
