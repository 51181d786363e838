"""Somebody else's agent as the native sidecar of an adapter: it is there before the adapter, and outlives its drain."""

import asyncio

import pytest

from tests.cluster.cluster import CHART, Namespace, in_thread

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

VALUES = CHART / "ci" / "sidecar-values.yaml"
AGENT = "echo"


async def test_the_foreign_agent_lives_until_the_last_task_is_done(namespace: Namespace) -> None:
    """`kubectl delete pod` with a task in flight: SIGTERM comes to the adapter first, and the sidecar answers still."""
    await in_thread(namespace.install, values=VALUES)
    async with namespace.manager() as client:
        await client.until_running(AGENT, 1)
        (instance,) = await client.instances(AGENT)
        task = asyncio.create_task(client.execute(AGENT, seconds=4, say="done"))

        async def at_work() -> bool:
            return bool((await client.instances(AGENT))[0]["running"])

        await client.until(at_work, "the task runs")
        await in_thread(namespace.kubectl, "delete", "pod", instance["pod"]["name"], "--wait=false")
        answer = await task
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-agent-instance"] == instance["instanceId"]

        async def reported() -> bool:
            return await client.metric("agent_manager_drains_total", agent=AGENT, outcome="clean") == 1

        await client.until(reported, "the drain was clean")
        assert await client.metric("agent_manager_drains_total", agent=AGENT, outcome="lost") == 0
