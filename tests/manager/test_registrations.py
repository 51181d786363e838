"""Register, beat, unregister: whom the manager believes, with real sockets at the addresses in question."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from agent_contract.problems import Problem
from agent_contract.wire import Heartbeat, Orders, Unregistration
from agent_manager import registrations
from agent_manager.agent_client import AgentClient, Origin

from tests.manager.answering import answering
from tests.manager.desk import Desk
from tests.manager.stage import drain

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def client() -> AsyncIterator[AgentClient]:
    """Give the product's client."""
    client = AgentClient()
    yield client
    await client.close()


@pytest.fixture
def desk(client: AgentClient) -> Desk:
    """Give the adapter routes' floor."""
    return Desk(client)


async def test_registration_is_answered_with_orders(desk: Desk) -> None:
    """TTL, interval and what the agent is to be; a beat is answered with the same."""
    expected = {"ttlSeconds": 30.0, "heartbeatIntervalSeconds": 5.0, "desiredState": "running"}
    orders = await desk.come("a1", "http://127.0.0.1:8100")
    assert msgspec.to_builtins(orders) == expected
    desk.registry.set_desired_state("a", "paused", by=None)
    assert desk.desk.heartbeat(Heartbeat("a", "a1", "running")).desired_state == "paused"
    assert (await desk.come("a2", "http://127.0.0.1:8101")).desired_state == "paused"


async def test_adopted_pause_is_in_the_answer(desk: Desk) -> None:
    """A manager without an order of its own gives back what the adapter was told."""
    assert (await desk.come("a1", "http://127.0.0.1:8100", desired="paused")).desired_state == "paused"


async def test_same_instance_refreshes(desk: Desk) -> None:
    """The same id at the same address is the same process: nobody is asked, nothing is replaced."""
    await desk.come("a1", "http://127.0.0.1:1")
    instance = desk["a1"]
    await desk.come("a1", "http://127.0.0.1:1", status="paused")
    assert desk["a1"] is instance
    assert (instance.state, instance.restarts) == ("paused", 0)


async def test_forbidden_url_registers_nothing(desk: Desk) -> None:
    """The metadata service of a cloud is no agent."""
    with pytest.raises(Problem) as caught:
        await desk.come("a1", "http://169.254.169.254:80")
    assert caught.value.code == "forbidden-service-url"
    assert desk.registry.agents == {}


async def test_newcomer_that_answers_replaces_the_old_life(desk: Desk) -> None:
    """A restarted process is taken at once, and the id before it is worn out."""
    async with answering("a1") as there:
        await desk.come("a1", there.url)
        there.instance_id = "a2"
        await desk.come("a2", there.url)
        assert desk.ids() == ["a2"]
        assert (there.requests, there.tokens) == (["GET /info"], ["secret"])
        with pytest.raises(Problem) as caught:
            await desk.come("a1", there.url)
    assert caught.value.code == "stale-instance"


async def test_newcomer_meets_the_old_life(desk: Desk) -> None:
    """Where the old life answers, a second identity gets 409 and the first keeps its calls; the journal has it once."""
    async with answering("a1") as there:
        await desk.come("a1", there.url)
        for _ in range(3):
            with pytest.raises(Problem) as caught:
                await desk.come("a2", there.url)
        assert (caught.value.status, caught.value.code) == (409, "registration-conflict")
        assert "a1 of a answers there" in caught.value.detail
        assert desk.registry.pick("a") is desk["a1"]
        assert desk.journal.codes.count("registration-conflict") == 1
        desk.clock.now += 30
        with pytest.raises(Problem):
            await desk.come("a2", there.url)
        assert desk.journal.codes.count("registration-conflict") == 2


async def test_newcomer_of_another_agent_meets_the_old_life(desk: Desk) -> None:
    """An address is one process's, whatever agent the newcomer says it is."""
    async with answering("a1") as there:
        await desk.come("a1", there.url)
        with pytest.raises(Problem) as caught:
            await desk.come("b1", there.url)
        assert caught.value.code == "registration-conflict"
        there.instance_id = "b1"
        with pytest.raises(Problem):
            await desk.come("b1", there.url)
        there.agent_id = "b"
        await desk.come("b1", there.url)
        assert desk.ids() == ["b1"]


async def test_nobody_answers_for_the_newcomer(desk: Desk) -> None:
    """It listens before it registers: an address where nobody does stays with the life that is known."""
    async with answering("a1") as there:
        await desk.come("a1", there.url)
    with pytest.raises(Problem, match="nobody answers"):
        await desk.come("a2", there.url)
    assert desk.ids() == ["a1"]
    desk.registry.found_other_life(desk["a1"])
    await desk.come("a2", there.url)
    assert desk.ids() == ["a2"]


async def test_newcomer_has_a_second_to_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come is none."""
    asked: list[float] = []
    request = AgentClient.request

    async def shortened(self: AgentClient, *what: object, timeout_seconds: float) -> object:
        asked.append(timeout_seconds)
        return await request(self, *what, timeout_seconds=0.05)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(AgentClient, "request", shortened)
    async with answering("a1") as there:
        there.silent = True
        await desk.come("a1", there.url)
        with pytest.raises(Problem, match="nobody answers"):
            await desk.come("a2", there.url)
    assert asked == [1.0]


async def test_living_id_is_not_taken_by_another_address(desk: Desk) -> None:
    """A second identity that uses a living instance's id keeps nothing from it."""
    async with answering("a1") as there, answering("a2") as elsewhere:
        await desk.come("a1", there.url)
        with pytest.raises(Problem):
            await desk.come("a1", elsewhere.url)  # another one answers there
        elsewhere.instance_id = "a1"
        with pytest.raises(Problem) as caught:
            await desk.come("a1", elsewhere.url)  # it lies
        assert caught.value.code == "registration-conflict"
        assert desk["a1"].service_url == there.url
        with pytest.raises(Problem) as caught:
            await desk.come("a1", elsewhere.url, agent_id="b")
        assert "one of a" in caught.value.detail
        assert desk["a1"].agent_id == "a"


async def test_instance_that_moved_is_found_at_its_new_address(desk: Desk) -> None:
    """The same process with another address, once it answers there and not at the old one."""
    async with answering("a1") as there:
        await desk.come("a1", "http://127.0.0.1:1")
        instance = desk["a1"]
        await desk.come("a1", there.url)
        assert desk["a1"] is instance
        assert (instance.service_url, instance.origin) == (there.url, there.origin)
        assert desk.registry.occupant(there.origin) is instance
        assert desk.registry.occupant(Origin("127.0.0.1", 1)) is None


async def test_process_with_two_addresses_keeps_the_first(desk: Desk) -> None:
    """A manager's name that means 127.0.0.1 and ::1 is registered at twice: one record, no conflict."""
    async with answering("a1") as there, answering("a1", "::1", there.origin.port) as too:
        await desk.come("a1", there.url)
        await desk.come("a1", too.url, peer="::1")
        assert desk.ids() == ["a1"]
        assert desk["a1"].service_url == there.url


async def test_registered_url_wins_over_a_found_one(desk: Desk) -> None:
    """An instance that static discovery found at its port registers with the URL that it wants to be called at."""
    async with answering("a1") as there, answering("a1", "::1", there.origin.port) as too:
        desk.see("a1", there.url)
        await desk.come("a1", too.url, peer="::1")
        assert desk["a1"].service_url == too.url
        assert desk.ids() == ["a1"]


async def test_two_newcomers_at_once_leave_one(desk: Desk) -> None:
    """Whoever answers has the address; the other is told so, and no two records are at one address."""
    async with answering("a1") as there:
        await desk.come("a1", there.url)
        there.instance_id = "a2"
        tries = [desk.come(instance_id, there.url) for instance_id in ("a2", "a3", "a2")]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert isinstance(outcomes[1], Problem)
    assert isinstance(outcomes[0], Orders)
    assert isinstance(outcomes[2], Orders)
    assert desk.ids() == ["a2"]


async def test_registrations_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many gets 503 with `Retry-After`; those that are known go on."""
    monkeypatch.setattr(registrations, "MOST_INSTANCES", 2)
    await desk.come("a1", "http://127.0.0.1:1")
    await desk.come("a2", "http://127.0.0.1:2")
    with pytest.raises(Problem) as caught:
        await desk.come("a3", "http://127.0.0.1:3")
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "30"})
    await desk.come("a1", "http://127.0.0.1:1")


async def test_agents_that_left_at_once_are_bounded_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is listed for a while: who comes and goes under ever new names gets 503; those that are known may come."""
    monkeypatch.setattr(registrations, "MOST_INSTANCES", 2)
    for number in (1, 2):
        await desk.come(f"a{number}", f"http://127.0.0.1:{number}", agent_id=f"agent-{number}")
        desk.registry.unregister(Unregistration(f"agent-{number}", f"a{number}", "stop"))
    with pytest.raises(Problem) as caught:
        await desk.come("a3", "http://127.0.0.1:3", agent_id="agent-3")
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "30"})
    await desk.come("a4", "http://127.0.0.1:4", agent_id="agent-2")


async def test_memory_of_conflicts_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them are told apart, no more."""
    monkeypatch.setattr(registrations, "_MOST_CONFLICTS", 2)
    desk.register("a1")
    for port in range(1, 5):
        with pytest.raises(Problem):
            await desk.come("a1", f"http://127.0.0.1:{port}", agent_id="b")
    async with answering("a2") as there:
        desk.register("a2", there.url)
        for number in range(3, 7):
            with pytest.raises(Problem):
                await desk.come(f"a{number}", there.url)
    assert len(desk.desk._conflicts) == 2


async def test_stopping_instance_is_let_go_before_its_beat_is_answered(desk: Desk) -> None:
    """It is chosen no more first, then its idle connections are closed, then the answer is given."""
    await desk.come("a1", "http://127.0.0.1:8100")
    assert desk.registry.pick("a") is desk["a1"]
    desk.desk.heartbeat(Heartbeat("a", "a1", "running"))
    assert desk.idle_closed == []
    desk.desk.heartbeat(Heartbeat("a", "a1", "stopping", drain=drain(30)))
    assert desk.idle_closed == [Origin("127.0.0.1", 8100)]
    assert desk.picked_at_close == [None]


async def test_beat_of_an_unreachable_instance_has_it_probed(desk: Desk) -> None:
    """It is there again, it says: whether calls reach it is seen at once."""
    await desk.come("a1", "http://127.0.0.1:8100")
    desk.desk.heartbeat(Heartbeat("a", "a1", "running"))
    assert desk.probed == []
    desk.registry.probe_failed(desk["a1"], "refused", refused=True)
    desk.desk.heartbeat(Heartbeat("a", "a1", "running"))
    assert desk.probed == ["a1"]


async def test_last_word(desk: Desk) -> None:
    """An unregistration takes the instance away; a second one is no error."""
    await desk.come("a1", "http://127.0.0.1:8100")
    desk.desk.unregister(Unregistration("a", "a1"))
    desk.desk.unregister(Unregistration("a", "a1"))
    assert desk.ids() == []
    with pytest.raises(Problem) as caught:
        desk.desk.heartbeat(Heartbeat("a", "a1", "running"))
    assert caught.value.code == "unknown-instance"


async def test_odd_answers_of_info_prove_nothing(desk: Desk) -> None:
    """A status that is no 200, and a body that says nothing, leave the address with the old life."""
    async with answering("a2") as there:
        desk.register("a1", there.url)
        for change in ({"http_status": 401}, {"http_status": 200, "body": b"[]"}, {"body": b"{" * 100_000}):
            for name, value in change.items():
                setattr(there, name, value)
            with pytest.raises(Problem, match="nobody answers"):
                await desk.come("a2", there.url)
        there.body = None
        await desk.come("a2", there.url)
