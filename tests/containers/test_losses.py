"""Containers that crash, are killed, are paused, or are cut off: only the calls in them are lost, and are told so."""

import asyncio
import os
import subprocess
import time
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from tests.containers.stack import BEAT_SECONDS, TTL_SECONDS, Stack
from tests.system.manager_client import ManagerClient

LOOK_SECONDS = 0.2
"""What asking for the listing adds to what is measured by it."""

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

on_the_engines_machine = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="ends processes of containers from outside: run it as root"
)
AGENTS = ("planner", "retriever", "executor")
LONG_SECONDS = 40


def crash(container: Any) -> None:
    """End a container's processes from outside, as a crash does: `docker kill` would not have it started again."""
    container.reload()
    os.kill(container.attrs["State"]["Pid"], 9)


async def busy_instance(client: ManagerClient) -> dict[str, Any]:
    """Wait until one executor has a task, and give that instance."""
    found: list[dict[str, Any]] = []

    async def one_works() -> bool:
        found[:] = [one for one in await client.instances("executor") if one["running"]]
        return len(found) == 1

    await client.until(one_works, "one executor works")
    return found[0]


async def call_at_work(client: ManagerClient) -> tuple["asyncio.Task[httpx.Response]", dict[str, Any]]:
    """Begin a long call; gives it, and the instance that works on it."""
    calling = asyncio.create_task(client.steps({"wait": LONG_SECONDS}))
    return calling, await busy_instance(client)


def assert_unknown(answer: httpx.Response, status: int) -> None:
    """Check that a caller was told that nobody knows what became of its task, and which one it was."""
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["outcome"]) == (status, "outcome-unknown", "unknown")
    assert problem["taskId"] == answer.headers["x-task-id"]


@on_the_engines_machine
async def test_a_crash_is_told_within_two_seconds_and_the_container_comes_back(
    client: ManagerClient, stack: Stack
) -> None:
    """The call in it ends with `unknown`, every other succeeds, and the engine starts a new life."""
    calling, instance = await call_at_work(client)
    crashed = time.monotonic()
    crash(stack.container_at(instance["serviceUrl"]))
    others = [await client.steps({"calculate": "1 + 1"}) for _ in range(20)]
    answer = await calling
    assert time.monotonic() - crashed < 2 + len(others) * 0.1
    assert_unknown(answer, 502)
    assert {other.status_code for other in others} == {200}

    async def replaced() -> bool:
        return instance["instanceId"] not in {one["instanceId"] for one in await client.instances("executor")}

    await client.until(replaced, "the listing is right", seconds=TTL_SECONDS + 1)
    await client.until_running("executor", 2)


async def test_a_killed_container_stays_away_and_is_dropped(client: ManagerClient, stack: Stack) -> None:
    """`docker kill` is an operator's word: nothing starts it again, and it is gone within the TTL."""
    (container,) = stack.containers("planner")
    container.kill()

    async def gone() -> bool:
        return await client.instances("planner") == []

    await client.until(gone, "it is dropped", seconds=TTL_SECONDS + 1)
    container.reload()
    assert (container.status, container.attrs["State"]["ExitCode"]) == ("exited", 137)
    assert (await client.agent("planner"))["state"] == "stopped"


async def test_a_paused_container_is_not_called_and_comes_back(client: ManagerClient, stack: Stack) -> None:
    """A short pause: unreachable, still listed as what it says it is, then called again under the same id."""
    (container,) = stack.containers("retriever")
    (before,) = await client.instances("retriever")
    container.pause()

    async def unreachable() -> bool:
        found = await client.instances("retriever")
        return [(one["instanceId"], one["reachable"]) for one in found] == [(before["instanceId"], False)]

    await client.until(unreachable, "it is unreachable", seconds=TTL_SECONDS)
    container.unpause()
    await client.until_running("retriever", 1)
    assert [one["instanceId"] for one in await client.instances("retriever")] == [before["instanceId"]]
    assert (await client.execute("retriever", query="drain")).status_code == 200


async def test_a_container_paused_for_long_gives_no_second_result(client: ManagerClient, stack: Stack) -> None:
    """Longer than the TTL: its call is told `unknown`, it is dropped, and back once when it goes on, called as ever."""
    calling, instance = await call_at_work(client)
    container = stack.container_at(instance["serviceUrl"])
    container.pause()
    paused = time.monotonic()
    try:
        answer = await calling
        assert_unknown(answer, 504)
        assert time.monotonic() - paused < TTL_SECONDS + 2

        async def dropped() -> bool:
            return instance["instanceId"] not in {one["instanceId"] for one in await client.instances("executor")}

        await client.until(dropped, "it is dropped", seconds=TTL_SECONDS + 2)
        assert (await client.steps({"calculate": "2 + 2"})).status_code == 200
    finally:
        container.unpause()
    await client.until_running("executor", 2)
    addresses = [one["serviceUrl"] for one in await client.instances("executor")]
    assert len(set(addresses)) == 2
    assert instance["serviceUrl"] in addresses
    answers = [await client.steps({"calculate": "3 + 3"}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}


async def test_a_fleet_that_is_cut_off_is_kept_and_back_within_a_beat(client: ManagerClient, stack: Stack) -> None:
    """All containers lose their network for one and a half TTLs: no record is lost, none is called, an alarm rings."""
    before = {one["instanceId"] for agent in AGENTS for one in await client.instances(agent)}
    network = stack.docker.networks.get(f"{stack.project}_default")
    containers = [(agent, one) for agent in AGENTS for one in stack.containers(agent)]
    # each gets its address back when they come in the order of their addresses, as after a true cut
    containers.sort(
        key=lambda pair: ip_address(pair[1].attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"])
    )
    for _, container in containers:
        network.disconnect(container)
    cut = time.monotonic()
    try:

        async def alarm() -> bool:
            return await client.metric("agent_manager_mass_loss_guard") == 1

        await client.until(alarm, "the guard is up", seconds=1.5 * TTL_SECONDS)
        while time.monotonic() - cut < 1.5 * TTL_SECONDS:
            listed = [one for agent in AGENTS for one in await client.instances(agent)]
            assert {one["instanceId"] for one in listed} == before
            await asyncio.sleep(BEAT_SECONDS / 2)
        assert {one["reachable"] for one in listed} == {False}
    finally:
        for agent, container in containers:
            network.connect(container, aliases=[agent])
    healed = time.monotonic()

    async def all_back() -> bool:
        listed = [one for agent in AGENTS for one in await client.instances(agent)]
        return {one["instanceId"] for one in listed} == before and all(one["reachable"] for one in listed)

    await client.until(all_back, "all are back", seconds=3 * BEAT_SECONDS + 2)
    assert time.monotonic() - healed < 3 * BEAT_SECONDS + 2
    assert await client.metric("agent_manager_mass_loss_guard") == 0
    answers = [await client.steps({"calculate": "1 + 1"}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}


@on_the_engines_machine
async def test_a_container_that_only_the_manager_cannot_reach_is_not_called_and_says_why(
    client: ManagerClient, stack: Stack
) -> None:
    """Its beats still come, so that it stays listed; calls go elsewhere within two seconds."""
    first, second = await client.instances("executor")
    container = stack.container_at(first["serviceUrl"])
    pid = str(container.attrs["State"]["Pid"])

    def drop(verb: str) -> None:
        rule = ["iptables", "-w", verb, "INPUT", "!", "-i", "lo", "-p", "tcp", "--dport", "8100", "-j", "DROP"]
        subprocess.run(["nsenter", "-t", pid, "-n", *rule], check=True, capture_output=True)

    drop("-A")
    try:

        async def elsewhere() -> bool:
            return not {one["instanceId"]: one["reachable"] for one in await client.instances("executor")}[
                first["instanceId"]
            ]

        calls = [asyncio.create_task(client.steps({"calculate": "1 + 1"})) for _ in range(4)]
        took = await client.until(elsewhere, "it is not called any more", seconds=TTL_SECONDS)
        assert took < 2 + LOOK_SECONDS
        answers = [await client.steps({"calculate": "1 + 1"}) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-agent-instance"] for answer in answers} == {second["instanceId"]}
        listed = {one["instanceId"]: one for one in await client.instances("executor")}[first["instanceId"]]
        assert (listed["state"], listed["problem"]["code"]) == ("running", "unreachable")
        await asyncio.gather(*calls)
    finally:
        drop("-D")
    await client.until_running("executor", 2)
