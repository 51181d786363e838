"""Agents of the configuration that did not register are found at their ports, on real sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from agent_contract.config import Agent
from agent_contract.loading import ConfigurationError
from agent_manager.agent_client import AgentClient
from agent_manager.background import Background
from agent_manager.discovery import static
from agent_manager.discovery.static import StaticDiscovery, places
from agent_manager.queries import InstanceQueries

from tests.manager.answering import Answering, answering
from tests.manager.stage import Stage


class Field(Stage):
    """A registry and the search at the configured ports."""

    def __init__(self, client: AgentClient, *agents: Agent) -> None:
        super().__init__(agents)
        self.search = StaticDiscovery(
            agents, self.registry.find, InstanceQueries(client, lambda *_: []), Background(), interval_seconds=0.05
        )

    async def look(self) -> None:
        """Look once."""
        await self.search.look(self.registry.apply)


@pytest.fixture
async def client() -> AsyncIterator[AgentClient]:
    """Give the product's client."""
    client = AgentClient()
    yield client
    await client.close()


@pytest.fixture
async def there() -> AsyncIterator[Answering]:
    """Give instance a1, which answers."""
    async with answering("a1") as there:
        yield there


@pytest.fixture
def field(client: AgentClient, there: Answering) -> Field:
    """Give a manager whose file has agent a at the port of a1."""
    return Field(client, Agent(id="a", port=there.origin.port))


async def test_agent_at_its_port_is_used(field: Field, there: Answering) -> None:
    """It answers as that agent, so it is listed as `static` and called."""
    await field.look()
    instance = field["a1"]
    assert (instance.source, instance.routable, instance.service_url) == ("static", True, there.url)
    assert (instance.version, instance.max_concurrency, instance.registered_at) == ("1.0", 4, None)
    assert there.requests == ["GET /info", "GET /status"]
    assert field.registry.listed_at == {"static": field.clock.now}


async def test_agent_that_refuses_is_not_there(field: Field, there: Answering) -> None:
    """What was found is gone when its port refuses, and calls need not wait for it."""
    await field.look()
    await there.stop()
    await field.look()
    assert field.ids() == []
    assert field.agent("a").port_refuses is True
    assert field.agent("a").state == "stopped"


async def test_slow_agent_stays(field: Field, there: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is no refusal: probes and the TTL decide."""
    await field.look()
    monkeypatch.setattr(InstanceQueries.info, "__defaults__", (0.05,))
    there.silent = True
    await field.look()
    assert field.ids() == ["a1"]
    assert field.agent("a").port_refuses is False


async def test_another_agent_at_the_port_is_not_used(field: Field, there: Answering) -> None:
    """Whoever listens there is not called in this agent's name; what was known there is gone."""
    await field.look()
    there.agent_id, there.instance_id = "b", "b1"
    await field.look()
    await field.look()
    assert field.ids() == []
    assert field.registry.find("b") is None


async def test_new_process_at_the_port_replaces_the_old(field: Field, there: Answering) -> None:
    """The answer itself proves whose the port is."""
    await field.look()
    there.instance_id = "a2"
    await field.look()
    assert field.ids() == ["a2"]
    assert field.registry.is_stale("a1")


async def test_registered_agent_is_not_looked_for(field: Field, there: Answering) -> None:
    """Once it registers, the search is over, and withdraws what it brought."""
    await field.look()
    field.register("a1", there.url)
    assert field["a1"].sources == {"static", "registration"}
    there.requests.clear()
    await field.look()
    assert there.requests == []
    assert field["a1"].sources == {"registration"}


async def test_agent_that_registered_while_it_was_asked_is_left_to_registration(field: Field, there: Answering) -> None:
    """The two do not disturb one another."""
    looking = asyncio.ensure_future(field.look())
    await there.asked.wait()
    field.register("a1", "http://10.0.0.7:8100")
    await looking
    assert field["a1"].sources == {"registration"}


async def test_agent_without_a_port_is_not_looked_for(client: AgentClient) -> None:
    """There is no place to ask at."""
    field = Field(client, Agent(id="a"))
    await field.look()
    assert field.agent("a").port_refuses is None


@pytest.mark.parametrize("state", ["stopping", "stopped"])
async def test_leaving_instance_is_no_find(field: Field, there: Answering, state: str) -> None:
    """In the moment between its unregistration and its exit it still answers; it does not come back by that."""
    there.state = state  # type: ignore[assignment]  # one of the states
    await field.look()
    assert field.ids() == []


async def test_found_instance_that_drains_stays(field: Field, there: Answering) -> None:
    """One that was known is shown while it stops."""
    await field.look()
    there.state = "stopping"
    await field.look()
    assert field["a1"].state == "stopping"


async def test_answers_of_two_processes_are_no_find(
    field: Field, there: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was replaced between the two questions is asked again the next time."""
    answer = there._answer

    def changed(line: str) -> bytes:
        there.instance_id = "a1" if line.startswith("GET /info ") else "a2"
        return answer(line)

    monkeypatch.setattr(there, "_answer", changed)
    await field.look()
    assert field.ids() == []


async def test_search_goes_on_for_ever(field: Field, there: Answering) -> None:
    """An agent that comes later is found at the next turn, and many are asked a few at a time."""
    origin = there.origin
    await there.stop()
    running = asyncio.ensure_future(field.search.run(field.registry.apply))
    async with asyncio.timeout(5):
        while field.agent("a").port_refuses is None:
            await field.registry.changed("a", 5)
        async with answering("a7", port=origin.port):
            while "a7" not in field.ids():
                await field.registry.changed("a", 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert static.AT_ONCE == 16


def test_places_are_addresses_that_can_be_asked() -> None:
    """A wildcard is asked at loopback, an IPv6 address stands in brackets, and no host is no address."""
    agents = [
        Agent(id="a", port=1),
        Agent(id="b", port=2, host="0.0.0.0"),
        Agent(id="c", port=3, host="::"),
        Agent(id="d", port=4, host="::1"),
        Agent(id="e", port=5, host="agent.test"),
    ]
    assert [str(place.origin) for place in places(agents)] == [
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        "http://[::1]:3",
        "http://[::1]:4",
        "http://agent.test:5",
    ]
    with pytest.raises(ConfigurationError) as caught:
        list(places([Agent(id="a"), Agent(id="b", port=1, host="not a host")]))
    assert caught.value.path == "agents[1].host"
