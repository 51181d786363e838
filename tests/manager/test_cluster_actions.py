"""Orders to an agent that Kubernetes runs: what is written to its workload, who is told, and what is refused."""

import asyncio
from typing import Any

import pytest

from tests.manager.cluster_rig import DESIRED, ClusterRig
from tests.manager.fake_api_server import Reply, Request, Silence, failure
from tests.manager.following import ended, steps, told
from tests.manager.manager_rig import ManagerRig

DENIED = (
    'deployments.apps "echo" is forbidden: User "system:serviceaccount:ops:agent-manager" cannot patch resource '
    '"deployments" in API group "apps" in the namespace "here"'
)


@pytest.mark.parametrize(
    ("action", "before", "state"), [("pause", "running", "paused"), ("resume", "paused", "running")]
)
async def test_a_pause_is_written_before_anyone_is_told(
    leader: ManagerRig, cluster: ClusterRig, action: str, before: str, state: str
) -> None:
    """A pod that comes meanwhile obeys it too, whichever manager it asks."""
    adapters = await cluster.pods("echo-1", "echo-2", status=before)
    told_before: list[int] = []

    def look(request: Request) -> None:
        if request.verb == "patch" and request.plural == "deployments":
            told_before.append(sum(len(adapter.actions) for adapter in adapters))

    cluster.server.answer = look
    view = await ended(leader, await leader.act("echo", action))
    assert (view["state"], steps(view)) == ("succeeded", ["done", "done"])
    assert cluster.annotations[DESIRED] == state
    assert [adapter.state for adapter in adapters] == [state, state]
    assert told_before == [0]


async def test_a_pod_to_come_is_told_what_the_workload_says(leader: ManagerRig, cluster: ClusterRig) -> None:
    """An agent with no pod can be paused, too."""
    assert (await ended(leader, await leader.act("echo", "pause")))["state"] == "succeeded"
    newcomer = await cluster.pod("echo-1", status="starting")
    assert (await leader.register(newcomer)).json()["desiredState"] == "paused"


async def test_an_order_to_one_instance_writes_nothing(leader: ManagerRig, cluster: ClusterRig) -> None:
    """The agent is to be what it was."""
    adapters = await cluster.pods("echo-1", "echo-2")
    await ended(leader, await leader.act("echo", "pause", instanceId=adapters[0].instance_id))
    assert [adapter.state for adapter in adapters] == ["paused", "running"]
    assert cluster.server.asked("patch", "deployments") == []
    assert leader.desired() == "running"


async def test_a_restart_in_place_leaves_the_pods(leader: ManagerRig, cluster: ClusterRig) -> None:
    """Each process is replaced in its pod, one after the other, and nothing is written."""
    adapters = await cluster.pods("echo-1", "echo-2")
    ordered = await leader.act("echo", "restart")
    successors = []
    for adapter in adapters:
        await told(leader, adapter)
        successors.append(await leader.successor(adapter))
    view = await ended(leader, ordered)
    assert (view["state"], steps(view)) == ("succeeded", ["done", "done"])
    assert [step["successor"] for step in view["instances"]] == [one.instance_id for one in successors]
    assert cluster.server.asked("patch", "deployments") == []


async def test_an_agent_that_registered_from_elsewhere_is_told_as_everywhere(
    leader: ManagerRig, cluster: ClusterRig
) -> None:
    """It has no workload: nobody can scale it."""
    del cluster
    adapter = await leader.adapter("elsewhere")
    for order in ({"action": "start"}, {"action": "restart", "strategy": "rollout"}):
        refused = await leader.act("elsewhere", **order)
        assert (refused.status_code, refused.json()["code"]) == (409, "not-supported")
    await leader.act("elsewhere", "stop")
    assert adapter.actions == [{"action": "stop"}]


@pytest.mark.parametrize(
    ("order", "status", "code", "field"),
    [
        ({"action": "start", "instanceId": "x"}, 400, "bad-request", "instanceId"),
        ({"action": "stop", "instanceId": "x"}, 404, "unknown-instance", None),
        ({"action": "stop", "strategy": "rollout"}, 400, "bad-request", "strategy"),
        ({"action": "restart", "strategy": "recreate"}, 400, "bad-request", "strategy"),
        ({"action": "restart"}, 503, "unavailable", None),
    ],
)
async def test_what_cannot_be_ordered_is_refused(
    leader: ManagerRig, cluster: ClusterRig, order: Any, status: int, code: str, field: str | None
) -> None:
    """And nothing is written."""
    answer = await leader.act("echo", **order)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert cluster.server.asked("patch", "deployments") == []


async def test_one_pod_is_stopped_by_kubectl(leader: ManagerRig, cluster: ClusterRig) -> None:
    """The platform would replace it, so the answer has what to type, with the names filled in."""
    adapter = await cluster.pod("echo-1")
    stop = await leader.act("echo", "stop", instanceId=adapter.instance_id)
    assert (stop.status_code, stop.json()["code"]) == (409, "not-supported")
    assert "kubectl delete pod echo-1 --namespace here" in stop.json()["detail"]
    assert "kubectl scale deployment/echo --replicas=1 --namespace here" in stop.json()["detail"]
    rollout = await leader.act("echo", "restart", strategy="rollout", instanceId=adapter.instance_id)
    assert (rollout.status_code, rollout.json()["code"]) == (409, "not-supported")
    assert "kubectl delete pod echo-1 --namespace here" in rollout.json()["detail"]
    assert adapter.actions == []


async def test_a_pod_in_which_nobody_is_known_says_why_it_cannot_be_told(
    leader: ManagerRig, cluster: ClusterRig
) -> None:
    """It is listed under its uid, and can be stopped by kubectl like the others."""
    cluster.bare_pod("echo-1")
    await cluster.all_see(lambda record: bool(record.bare_pods))
    (uid,) = cluster.record(leader).bare_pods
    refused = await leader.act("echo", "pause", instanceId=uid)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "echo-1" in refused.json()["detail"]
    assert "no such image" in refused.json()["detail"]
    stop = await leader.act("echo", "stop", instanceId=uid)
    assert "kubectl delete pod echo-1" in stop.json()["detail"]


def on_workloads(reply: Reply | Silence, verb: str = "patch") -> Any:
    """Give what answers so to requests of this verb on workloads."""
    return lambda request: reply if request.verb == verb and request.plural == "deployments" else None


@pytest.mark.parametrize("action", ["pause", "stop", "start", "restart"])
async def test_a_right_that_is_missing_is_named(leader: ManagerRig, cluster: ClusterRig, action: str) -> None:
    """Verb, resource, namespace and account, and the command that shows it; nothing was told, nothing has changed."""
    if action == "start":
        cluster.deploy(0)
        await cluster.all_see(lambda record: record.desired_instances == 0)
    adapter = await cluster.pod("echo-1")
    cluster.server.answer = on_workloads(failure(403, "Forbidden", DENIED))
    strategy = {"strategy": "rollout"} if action == "restart" else {}
    answer = await leader.act("echo", action, **strategy)
    assert (answer.status_code, answer.json()["code"]) == (403, "rbac-denied")
    detail = answer.json()["detail"]
    assert "system:serviceaccount:ops:agent-manager may not patch deployments.apps in namespace here" in detail
    command = "kubectl auth can-i patch deployments.apps/echo --namespace here --as=system:serviceaccount:ops:agent"
    assert command in detail
    assert adapter.actions == []
    assert leader.desired() == "running"
    assert (await leader.get("/api/agent-services/echo/actions"))["actions"] == []


@pytest.mark.parametrize(
    ("reply", "code", "retry_after"),
    [
        (failure(500, "InternalError"), "unavailable", "5"),
        (failure(429, "TooManyRequests", retry_after="7"), "unavailable", "7"),
        (failure(503, "ServiceUnavailable"), "unavailable", "5"),
        (Reply(200, b"<html>a proxy</html>", "text/html"), "unavailable", "5"),
        (Reply(200, b"{}"), "unavailable", "5"),
        (failure(404, "NotFound"), "unavailable", "5"),
        (failure(403, "Forbidden", 'admission webhook "policy" denied the request: no'), "not-supported", None),
        (failure(422, "Invalid", "spec.replicas: too many"), "not-supported", None),
    ],
)
async def test_what_the_api_server_says_is_passed_on(
    leader: ManagerRig, cluster: ClusterRig, reply: Reply, code: str, retry_after: str | None
) -> None:
    """As a problem that says whether to try again."""
    cluster.server.answer = on_workloads(reply)
    answer = await leader.act("echo", "pause")
    assert (answer.json()["code"], answer.headers.get("retry-after")) == (code, retry_after)


async def test_an_api_server_that_is_silent_is_waited_for_a_while(
    leader: ManagerRig, cluster: ClusterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four seconds, here a tenth of one."""
    monkeypatch.setattr("agent_manager.cluster.workload_orders.REQUEST_SECONDS", 0.1)
    cluster.server.answer = on_workloads(Silence())
    answer = await leader.act("echo", "pause")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize(("action", "conflicts", "status"), [("pause", 4, 202), ("stop", 4, 202), ("stop", 5, 503)])
async def test_what_others_write_meanwhile_is_read_again_a_few_times(
    leader: ManagerRig, cluster: ClusterRig, action: str, conflicts: int, status: int
) -> None:
    """Five tries; then the order is given back."""
    left = [conflicts]

    def conflict(request: Request) -> Reply | None:
        if request.verb == "patch" and request.plural == "deployments" and left[0]:
            left[0] -= 1
            return failure(409, "Conflict", "the object has been modified")
        return None

    cluster.server.answer = conflict
    answer = await leader.act("echo", action)
    assert answer.status_code == status
    assert len(cluster.server.asked("patch", "deployments")) == 5


async def test_orders_to_an_agent_begin_in_their_order(leader: ManagerRig, cluster: ClusterRig) -> None:
    """A resume that comes while a pause is being written ends what the pause began, on the workload and at the pods."""
    (adapter,) = await cluster.pods("echo-1")
    resume: list[Any] = []

    def meanwhile(request: Request) -> None:
        if request.verb == "patch" and not resume:
            resume.append(asyncio.ensure_future(leader.act("echo", "resume")))

    cluster.server.answer = meanwhile
    await ended(leader, await leader.act("echo", "pause"))
    await ended(leader, await resume[0])
    assert cluster.annotations[DESIRED] == "running"
    assert (adapter.state, leader.desired()) == ("running", "running")
