"""Tokens of a real cluster: what a pod of an agent was given speaks for that agent, and for nothing else."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.cluster import AGENT, Namespace
from tests.system.fleet import Fleet

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]
ALL = "/api/agent-services"


def pod(agent: str) -> dict[str, Any]:
    """Give a pod that never starts: its token speaks for it as soon as it is there."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "agent", "image": "localhost/no-such-image:1", "securityContext": restricted}
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": agent, "labels": {AGENT: agent}}, "spec": spec}


@pytest.fixture(scope="module")
def space(cluster: None) -> Iterator[Namespace]:
    """Give a namespace with a pod of two agents; no image is needed."""
    del cluster
    with Namespace("sa-tests") as made:
        made.apply(pod("planner"), pod("executor"))
        yield made


def token(space: Namespace, agent: str | None, audience: str = "agent-manager") -> str:
    """Give a token as the kubelet would project it into the pod of an agent, or one that is bound to no pod."""
    bound: list[str] = []
    if agent is not None:
        uid = space.kubectl("get", "pod", agent, "--output", "jsonpath={.metadata.uid}")
        bound = ["--bound-object-kind", "Pod", "--bound-object-name", agent, "--bound-object-uid", uid]
    return space.kubectl("create", "token", "default", "--audience", audience, *bound).strip()


@pytest.fixture
async def fleet(space: Namespace, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Give a manager of this machine that watches the namespace and reviews tokens."""
    async with Fleet(tmp_path) as made:
        (tmp_path / "agents.config.json").write_text('{"runtime": {"discovery": {"mode": "kubernetes"}}}')
        await made.start_manager(
            AGENTS_CONFIG=str(tmp_path / "agents.config.json"),
            KUBECONFIG=os.environ["KUBECONFIG"],
            POD_NAMESPACE=space.name,
            MANAGER_TOKEN_REVIEW_AUDIENCE="agent-manager",  # noqa: S106  # no password
        )

        async def sees() -> bool:
            return {"planner", "executor"} <= (await made.listing()).keys()

        await made.until(sees, "the pods are seen")
        yield made


async def beat(fleet: Fleet, said: str, agent: str) -> tuple[int, str]:
    """Beat in the name of an agent; gives status and code (404: let in, and not registered)."""
    body = {"id": agent, "instanceId": "i1", "status": "running"}
    answer: httpx.Response = await fleet.client.post(f"{ALL}/heartbeat", json=body, headers={"x-manager-token": said})
    return answer.status_code, answer.json().get("code")


async def test_the_token_of_a_pod_speaks_for_its_agent_alone(fleet: Fleet, space: Namespace) -> None:
    """Not for another agent; not one for another audience, one of no pod, a forged one, or one whose pod is gone."""
    own = token(space, "planner")
    assert await beat(fleet, own, "planner") == (404, "unknown-instance")
    assert await beat(fleet, own, "executor") == (403, "forbidden")
    forged = own[:-8] + "AAAAAAAA"
    for said in (token(space, "planner", "another"), token(space, None), forged, "shared"):
        assert await beat(fleet, said, "planner") == (401, "unauthenticated")
    gone = token(space, "executor")
    assert await beat(fleet, gone, "executor") == (404, "unknown-instance")
    space.kubectl("delete", "pod", "executor", "--now")

    async def ended() -> bool:
        return await beat(fleet, gone, "executor") == (401, "unauthenticated")

    await fleet.until(ended, "the token ends with its pod")
    space.apply(pod("executor"))


async def test_an_adapter_with_such_a_token_is_called_and_asks_for_proof(
    fleet: Fleet, space: Namespace, tmp_path: Path
) -> None:
    """The manager proves itself with what that token signed; the token itself reaches nobody else."""
    (tmp_path / "token").write_text(token(space, "planner"))
    port = await fleet.start_agent("p", "planner", MANAGER_TOKEN_FILE=str(tmp_path / "token"))
    answer = await fleet.execute("planner", number=1)
    assert (answer.status_code, answer.json()["result"]) == (200, {"number": 1})
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/status")).status_code == 401
