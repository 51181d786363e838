"""Agents under kubectl's hand, with calls through the manager all the while: nothing is lost."""

import asyncio
import re

import pytest

from tests.cluster.cluster import Namespace, in_thread
from tests.system.load import under_load
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(900)]

RESTARTS = 20


async def test_the_examples_are_found_by_their_pods_and_can_be_called(
    client: ManagerClient, release: Namespace
) -> None:
    """Each agent is listed with its pod, which decides that it exists, and answers a call."""
    for agent in ("planner", "executor", "retriever"):
        listed = await client.agent(agent)
        assert {one["source"] for one in listed["instances"]} == {"kubernetes"}
        assert listed["desiredInstances"] == len(release.pods(agent))
        names = {pod["metadata"]["name"] for pod in release.pods(agent)}
        assert {one["pod"]["name"] for one in listed["instances"]} == names
        assert all(one["pod"]["ready"] and one["pod"]["phase"] == "Running" for one in listed["instances"])
    assert (await client.execute("planner", goal="count the words of README.md")).status_code == 200
    assert (await client.steps({"calculate": "6 * 7"})).json()["result"]["results"] == [{"value": 42}]


async def test_the_three_calls_of_the_notes_work(client: ManagerClient, release: Namespace) -> None:
    """What `helm install` printed for a stranger to type is what can be typed."""
    notes = release.helm("get notes").replace("\\\n", " ")
    calls = re.findall(r"^ *(curl .*)$", notes, re.MULTILINE)
    assert len(calls) >= 3, notes
    for call in calls:
        here = re.sub(r"localhost:\d+", f"127.0.0.1:{client.port}", call)
        shell = await asyncio.create_subprocess_shell(
            here, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await shell.communicate()
        assert shell.returncode == 0, f"{call}: {output.decode()}"
        assert b'"code"' not in output, f"{call}: {output.decode()}"


async def test_helm_test_passes(release: Namespace) -> None:
    """The chart's own test finds the manager ready and an agent that answers."""
    said = await in_thread(release.helm, "test", "--timeout", "120s")
    assert "Succeeded" in said


async def test_twenty_rollout_restarts_lose_nothing(client: ManagerClient, release: Namespace) -> None:
    """`kubectl rollout restart` knows nothing of the manager: the adapters drain on SIGTERM, the watch shows it."""
    before = {one["instanceId"] for one in await client.instances("executor")}
    name = deployment(release, "executor")

    async def story() -> None:
        for _ in range(RESTARTS):
            await in_thread(release.kubectl, "rollout", "restart", name)
            await in_thread(release.kubectl, "rollout", "status", name, "--timeout", "120s")
        await client.until_running("executor", 2)

    load = await under_load(client, story)
    served = {reply.headers["x-agent-instance"] for reply in load.replies}
    assert before & {one["instanceId"] for one in await client.instances("executor")} == set()
    assert len(served) >= 2 * RESTARTS


async def test_a_deleted_pod_finishes_its_task_and_is_not_called_meanwhile(
    client: ManagerClient, release: Namespace
) -> None:
    """From the deletion on it is `stopping` and not routed to; its task ends as if nothing had happened."""

    async def at_work() -> bool:
        return any(one["running"] for one in await client.instances("executor"))

    async def idle() -> bool:
        return not await at_work()

    await client.until(idle, "what ran before is over")
    task = asyncio.create_task(client.steps({"wait": 6}, {"calculate": "1 + 1"}))
    await client.until(at_work, "the task runs")
    (busy,) = [one for one in await client.instances("executor") if one["running"]]
    await in_thread(release.kubectl, "delete", "pod", busy["pod"]["name"], "--wait=false")

    async def stopping() -> bool:
        states = {one["instanceId"]: one["state"] for one in await client.instances("executor")}
        return bool(states[busy["instanceId"]] == "stopping")

    assert await client.until(stopping, "its listing says stopping") < 2
    answers = [await client.steps({"calculate": "2 + 2"}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert busy["instanceId"] not in {answer.headers["x-agent-instance"] for answer in answers}
    answer = await task
    assert answer.json()["result"]["results"] == [{"waited": 6}, {"value": 2}]
    assert answer.headers["x-agent-instance"] == busy["instanceId"]
    await client.until_running("executor", 2)


async def test_scaling_up_and_down_loses_nothing(client: ManagerClient, release: Namespace) -> None:
    """Newcomers are called as soon as they run; those that leave drain first."""
    name = deployment(release, "executor")

    async def story() -> None:
        for replicas in (4, 1, 3, 2):
            await in_thread(release.kubectl, "scale", name, f"--replicas={replicas}")
            await client.until_running("executor", replicas)
            assert (await client.agent("executor"))["desiredInstances"] == replicas

    load = await under_load(client, story)
    assert len({reply.headers["x-agent-instance"] for reply in load.replies}) > 3


def deployment(release: Namespace, agent: str) -> str:
    """Give an agent's Deployment as kubectl names it."""
    (found,) = release.get("deployments", f"agent-orchestration.dev/agent={agent}")
    return f"deployment/{found['metadata']['name']}"
