"""Several managers in one cluster: one acts, each can be asked, and none acts twice."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from agent_manager.cluster.elector import LeaseElector

from tests.manager.cluster_rig import DESIRED, LEASES, ClusterRig
from tests.manager.fake_api_server import Request, Silence
from tests.manager.following import ended, steps, told
from tests.manager.manager_rig import ALL, ManagerRig


class Two(NamedTuple):
    """Two managers: the one that acts, and the other."""

    cluster: ClusterRig
    leader: ManagerRig
    other: ManagerRig


@pytest.fixture
async def two(cluster: ClusterRig) -> AsyncIterator[Two]:
    """Give two managers that know one another by the lease."""
    async with cluster.manager("one") as one, cluster.manager("two") as other:
        yield Two(cluster, one, other)


def elector(rig: ManagerRig) -> LeaseElector:
    """Give a manager's own."""
    found = rig.manager.actions._leadership
    assert isinstance(found, LeaseElector)
    return found


def let_time_pass(rig: ManagerRig, seconds: float) -> None:
    """Let that much pass for a manager's lease alone."""
    real = elector(rig)._clock
    elector(rig)._clock = lambda: real() + seconds


async def cut_off(two: Two) -> None:
    """Let the one that acts renew its lease no more, and wait until the other has seen how it is since."""
    server = two.cluster.server
    server.answer = lambda request: Silence() if request.plural == "leases" and b'"one"' in request.body else None
    looks = len(server.asked("get", "leases")) + 3
    await server.until(lambda: len(server.asked("get", "leases")) >= looks)


async def leads(two: Two, rig: ManagerRig) -> None:
    """Wait until that manager acts."""
    await two.cluster.server.until(lambda: elector(rig).is_leader)


async def sees_holder(two: Two, rig: ManagerRig, name: str) -> None:
    """Wait until a manager knows that this one holds the lease."""
    await two.cluster.server.until(lambda: getattr(elector(rig).holder, "identity", "") == name)


async def test_an_order_to_either_is_carried_out_by_the_one_that_acts(two: Two) -> None:
    """Its answer comes back as it is, and each of them tells how far it is."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    ordered = await two.other.act("echo", "restart")
    assert ordered.status_code == 202
    action_id = ordered.json()["actionId"]
    assert ordered.headers["location"] == f"{ALL}/echo/actions/{action_id}"
    assert [action.action_id for action in two.leader.manager.actions.kept("echo")] == [action_id]
    assert two.other.manager.actions.kept("echo") == []
    for adapter in adapters:
        await told(two.leader, adapter)
        await two.leader.successor(adapter)
    views = [await ended(rig, ordered) for rig in (two.other, two.leader)]
    assert views[0] == views[1]
    assert (views[0]["state"], steps(views[0])) == ("succeeded", ["done", "done"])
    for rig in (two.leader, two.other):
        assert [action["actionId"] for action in (await rig.get(f"{ALL}/echo/actions"))["actions"]] == [action_id]


async def test_restarts_at_both_restart_each_instance_once(two: Two) -> None:
    """The second joins the first, wherever it is ordered."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    ids = {(await rig.act("echo", "restart")).json()["actionId"] for rig in (two.other, two.leader, two.other)}
    assert len(ids) == 1
    for adapter in adapters:
        await told(two.leader, adapter)
        await two.leader.successor(adapter)
    assert [adapter.actions for adapter in adapters] == [[{"action": "restart"}], [{"action": "restart"}]]


async def test_only_one_says_that_it_leads(two: Two) -> None:
    """The metric is what an alert looks at."""
    pages = [(await rig.client.get("/metrics")).text for rig in (two.leader, two.other)]
    assert ["agent_manager_leader 1.0" in page for page in pages] == [True, False]
    assert "agent_manager_leader 0.0" in pages[1]


async def test_a_lease_lost_in_the_middle_of_a_restart_ends_it(two: Two) -> None:
    """Who was told goes on, nobody else is told, and the next manager begins with what is there then."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    ordered = await two.leader.act("echo", "restart")
    await told(two.leader, adapters[0])
    await cut_off(two)
    let_time_pass(two.leader, 11)
    let_time_pass(two.other, 16)
    await leads(two, two.other)
    await two.leader.until(lambda: two.leader.manager.actions.kept("echo")[0].ended_at is not None)
    view = two.leader.manager.actions.kept("echo")[0].view()
    assert (view.state, [step.state for step in view.instances]) == ("failed", ["failed", "failed"])
    assert {str(step.error) for step in view.instances} == {
        "{'code': 'no-leader', 'detail': 'another manager acts now; instances already told go on'}"
    }
    for rig in (two.leader, two.other):
        await rig.unregister(adapters[0])
    await adapters[0].leave()
    await sees_holder(two, two.leader, "two")
    again = await two.leader.act("echo", "restart")
    assert again.json()["actionId"] != ordered.json()["actionId"]
    await told(two.other, adapters[1])
    assert [len(adapter.actions) for adapter in adapters] == [1, 1]


async def test_a_manager_that_was_suspended_tells_nobody_more(two: Two) -> None:
    """It wakes up in the middle of a restart, and looks at its lease before it tells the next instance."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    ordered = await two.leader.act("echo", "restart")
    await told(two.leader, adapters[0])
    two.cluster.server.answer = lambda request: Silence() if request.plural == "leases" else None
    let_time_pass(two.leader, 60)
    await two.leader.successor(adapters[0])
    view = await ended(two.leader, ordered)
    assert (view["state"], view["instances"][1]["error"]["code"]) == ("failed", "no-leader")
    assert adapters[1].actions == []


@pytest.mark.parametrize("order", [{"action": "stop"}, {"action": "restart", "strategy": "rollout"}])
async def test_a_lease_that_runs_out_before_the_write_writes_nothing(two: Two, order: dict[str, Any]) -> None:
    """The workload was read in time, and what is written by it would come when another may act."""

    def late(request: Request) -> Silence | None:
        if request.verb == "get" and request.plural == "deployments":
            let_time_pass(two.leader, 60)
        return Silence() if request.plural == "leases" else None

    two.cluster.server.answer = late
    refused = await two.leader.act("echo", **order)
    assert (refused.status_code, refused.json()["code"]) == (503, "no-leader")
    assert two.cluster.server.asked("patch", "deployments") == []


async def test_a_manager_that_leaves_gives_the_lease_to_the_next(two: Two) -> None:
    """While its calls finish, the other acts already."""
    await two.cluster.pods("echo-1")
    two.leader.manager.readiness.leaving.set()
    await leads(two, two.other)
    assert (await two.other.act("echo", "stop")).status_code == 202


async def test_calling_off_a_drain_anywhere_ends_the_restart_where_it_runs(two: Two) -> None:
    """The order is passed on to it, and so is a new deadline."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    ordered = await two.leader.act("echo", "restart")
    query = {"instanceId": adapters[0].instance_id}
    moved = await two.other.client.patch(f"{ALL}/echo/drain", params=query, json={"timeoutSeconds": 9})
    assert (moved.status_code, adapters[0].drained) == (200, [("PATCH", 9.0)])
    assert (await two.other.client.delete(f"{ALL}/echo/drain", params=query)).status_code == 200
    view = (await two.other.client.get(ordered.headers["location"])).json()
    assert (view["state"], view["instances"][0]["error"]["code"]) == ("failed", "not-draining")
    assert adapters[1].actions == []


def nobody_leads(two: Two, address: str | None = None) -> None:
    """Let the lease be that of a manager that cannot be asked."""
    annotations = {} if address is None else {"agent-orchestration.dev/address": address}
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    two.cluster.server.store.delete(LEASES, "agent-manager")
    two.cluster.server.store.put(
        LEASES, {"metadata": {"name": "agent-manager", "annotations": annotations}, "spec": spec}
    )


async def all_know(two: Two) -> None:
    """Wait until both have seen who holds the lease."""
    for rig in (two.leader, two.other):
        await sees_holder(two, rig, "gone")


@pytest.mark.parametrize("address", [None, "http://127.0.0.1:1"])
async def test_where_nobody_acts_an_agent_can_still_be_paused(two: Two, address: str | None) -> None:
    """By any manager; what needs steps or scaling is told to try again. An action of one's own is found."""
    adapters = await two.cluster.pods("echo-1", "echo-2")
    nobody_leads(two, address)
    await all_know(two)
    paused = await two.other.act("echo", "pause")
    assert (await ended(two.other, paused))["state"] == "succeeded"
    assert two.cluster.annotations[DESIRED] == "paused"
    assert [adapter.state for adapter in adapters] == ["paused", "paused"]
    for action in ("stop", "restart", "start"):
        refused = await two.other.act("echo", action)
        assert (refused.status_code, refused.json()["code"]) == (503, "no-leader")
        assert refused.headers["retry-after"] == "3"
    assert len((await two.other.get(f"{ALL}/echo/actions"))["actions"]) == 1
    assert (await two.leader.client.get(paused.headers["location"])).status_code == 404


async def test_an_api_server_that_hangs_stops_whoever_acts(two: Two) -> None:
    """Neither acts, neither pretends to; calls are none of its business."""
    (adapter,) = await two.cluster.pods("echo-1")
    two.cluster.server.answer = lambda _: Silence()
    for rig in (two.leader, two.other):
        let_time_pass(rig, 16)
    refused = [await rig.act("echo", "restart") for rig in (two.leader, two.other)]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(503, "no-leader")] * 2
    assert adapter.actions == []
    assert (await two.other.execute()).status_code == 200


async def test_what_was_passed_on_once_is_handled_where_it_arrives(two: Two) -> None:
    """Two managers that take one another for the holder do not pass it to and fro."""
    await two.cluster.pods("echo-1")
    passed = {"X-Agent-Manager-Passed-On": "1"}
    stop = await two.other.client.post(f"{ALL}/echo/action", json={"action": "stop"}, headers=passed)
    assert (stop.status_code, stop.json()["code"]) == (503, "no-leader")
    pause = await two.other.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=passed)
    assert pause.status_code == 202
    assert len(two.other.manager.actions.kept("echo")) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"[", 400, "bad-request"), (b'{"action":"explode"}', 400, "bad-request"), (b"{}" * 40000, 413, "body-too-large")],
)
async def test_a_bad_order_is_refused_where_it_arrives(two: Two, body: bytes, status: int, code: str) -> None:
    """The holder is not bothered with it."""
    answer = await two.other.client.post(f"{ALL}/echo/action", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "order", "status", "code"),
    [
        (f"{ALL}/echo/action", {"action": "stop", "instanceId": "x"}, 404, "unknown-instance"),
        (f"{ALL}/nobody/action", {"action": "stop"}, 404, "unknown-agent"),
        (f"{ALL}/%2e%2e%20?/action", {"action": "stop"}, 404, "unknown-agent"),
    ],
)
async def test_the_holder_s_problem_comes_back_as_it_is(
    two: Two, path: str, order: Any, status: int, code: str
) -> None:
    """Whoever asks cannot tell which manager answered, but where a name would lead to another path."""
    answers = [await rig.client.post(path.replace("?", "%3F"), json=order) for rig in (two.leader, two.other)]
    assert [answer.status_code for answer in answers] == [status] * 2
    assert [answer.json() for answer in answers] == [answers[0].json()] * 2
    assert answers[1].json()["code"] == code
    assert answers[1].headers["content-type"] == "application/problem+json"
