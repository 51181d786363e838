"""The instances' own metrics on the manager's page: fetched when somebody asks, fresh, bounded, gone with who left."""

import asyncio
import gzip
import re
from collections.abc import Iterable

import pytest
from agent_manager import scrapes as module
from agent_manager.agent_client import Origin
from agent_manager.scrapes import KEPT_SECONDS, MAX_PAGE_BYTES
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_plain_text

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ManagerRig

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN = {"accept": "application/openmetrics-text;version=1.0.0"}
FIRST = "# TYPE agent_task_running gauge\nagent_task_running 1\n# EOF\n"
SECOND = FIRST.replace("running 1", "running 2")
RICH = (
    "# TYPE agent_task_duration_seconds histogram\n"
    f'agent_task_duration_seconds_bucket{{le="0.5"}} 1 # {{trace_id="{TRACE}"}} 0.3 1700000000.5\n'
    'agent_task_duration_seconds_bucket{le="+Inf"} 1\n'
    "agent_task_duration_seconds_count 1\nagent_task_duration_seconds_sum 0.3\n# EOF\n"
)


async def with_page(rig: ManagerRig, page: str | None, agent_id: str = "echo") -> FakeAdapter:
    """Give an adapter that registered, with this page of metrics."""
    adapter = await rig.adapter(agent_id)
    adapter.page = page
    return adapter


async def scrape(rig: ManagerRig, **headers: str) -> str:
    """Give the manager's page."""
    return (await rig.client.get("/metrics", headers=headers)).text


async def go_round(rig: ManagerRig) -> None:
    """Ask for a page, as if the one before were long ago, and wait until the round that it begins is over."""
    scrapes = rig.manager.scrapes
    scrapes._began_at = float("-inf")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(scrapes.over())
        await scrape(rig)


def running(page: str) -> dict[str, str]:
    """Give the values of `agent_task_running` on a page, by instance."""
    return dict(re.findall(r'^agent_task_running\{agent="echo",instance_id="([^"]+)"\} (\S+)$', page, re.MULTILINE))


def fetched(adapter: FakeAdapter) -> int:
    """Give how often an adapter was asked for its page."""
    return adapter.requests.count("GET /metrics")


def refused(page: str) -> dict[str, str]:
    """Give what was refused, by reason, but for zeros."""
    found = re.findall(r'^agent_manager_metrics_refused_total\{reason="([^"]+)"\} (\S+)$', page, re.MULTILINE)
    return {reason: count for reason, count in found if count != "0.0"}


async def test_the_first_page_has_every_instance(rig: ManagerRig) -> None:
    """What nothing is known of is waited for; each series says whose it is."""
    adapters = [await with_page(rig, FIRST) for _ in range(3)]
    assert running(await scrape(rig)) == {adapter.instance_id: "1" for adapter in adapters}


async def test_a_newcomer_is_on_the_next_page(rig: ManagerRig) -> None:
    """However lately the last round was."""
    await with_page(rig, FIRST)
    await scrape(rig)
    newcomer = await with_page(rig, SECOND)
    assert running(await scrape(rig))[newcomer.instance_id] == "2"


async def test_a_page_shows_what_the_one_before_had_fetched(rig: ManagerRig) -> None:
    """It is answered at once; the values are as old as the scraper's interval."""
    adapter = await with_page(rig, FIRST)
    await go_round(rig)
    adapter.page = SECOND
    assert running(await scrape(rig)) == {adapter.instance_id: "1"}
    await go_round(rig)
    assert running(await scrape(rig)) == {adapter.instance_id: "2"}


async def test_an_instance_is_asked_once_a_page_and_never_unasked(rig: ManagerRig) -> None:
    """Two scrapers at the same time are one; nobody who scrapes the manager alone is an interest in the agents."""
    adapter = await with_page(rig, FIRST)
    await rig.client.get("/metrics", params={"scope": "self"})
    assert fetched(adapter) == 0
    await scrape(rig)
    await asyncio.gather(*(scrape(rig) for _ in range(5)))
    assert fetched(adapter) == 1
    await go_round(rig)
    assert fetched(adapter) == 2


async def test_the_managers_own_page_leaves_the_instances_out(rig: ManagerRig) -> None:
    """For those who scrape the pods themselves: each series would be there twice."""
    await with_page(rig, FIRST)
    await scrape(rig)
    own = (await rig.client.get("/metrics", params={"scope": "self"})).text
    assert "agent_task_running" not in own
    assert 'agent_manager_instances{agent="echo",state="running"} 1.0' in own


async def test_who_left_is_not_on_the_next_page(rig: ManagerRig) -> None:
    """Neither by an unregistration nor by a loss; and the agent goes with the registry's memory of it."""
    here, left = await with_page(rig, FIRST), await with_page(rig, FIRST)
    lost = await with_page(rig, FIRST, agent_id="gone")
    await go_round(rig)
    await rig.unregister(left)
    rig.manager.registry._roster.drop(rig.instance(lost), "expired", rig.manager.clock())
    page = await scrape(rig)
    assert running(page) == {here.instance_id: "1"}
    assert left.instance_id not in page
    assert lost.instance_id not in page
    assert 'agent_manager_drains_total{agent="gone",outcome="clean"} 0.0' in page
    del rig.manager.registry.agents["gone"]
    assert "gone" not in await scrape(rig)


async def test_one_that_leaves_while_it_is_asked_is_not_shown(rig: ManagerRig) -> None:
    """Its page comes after its last word."""
    adapter = await with_page(rig, FIRST)
    await scrape(rig)
    instance = rig.instance(adapter)
    await rig.unregister(adapter)
    await rig.manager.scrapes._fetch(instance)
    assert running(await scrape(rig)) == {}


async def test_silence_is_waited_for_once_and_shown_as_no_value(
    rig: ManagerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page without an answer may be chance; after two in a row nobody takes the old values for new ones."""
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.1)
    adapter = await with_page(rig, FIRST)
    await go_round(rig)
    adapter.page, adapter.silent = None, True
    await go_round(rig)
    page = await scrape(rig)
    assert (running(page), refused(page)) == ({adapter.instance_id: "1"}, {"no-answer": "1.0"})
    await go_round(rig)
    page = await scrape(rig)
    assert (running(page), refused(page)) == ({}, {"no-answer": "2.0"})
    adapter.page, adapter.silent = FIRST, False
    rig.parts.prober.probe_soon(rig.instance(adapter))
    await rig.until(lambda: rig.instance(adapter).reachable)
    await go_round(rig)
    assert running(await scrape(rig)) == {adapter.instance_id: "1"}


async def test_a_silent_newcomer_costs_a_page_a_second_at_most(
    rig: ManagerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are shown; the next page does not wait for it again."""
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.05)
    other = await with_page(rig, FIRST)
    adapter = await with_page(rig, None)
    adapter.silent = True
    async with asyncio.timeout(0.9):
        assert running(await scrape(rig)) == {other.instance_id: "1"}
        assert running(await scrape(rig)) == {other.instance_id: "1"}


async def test_what_is_old_is_not_shown(rig: ManagerRig) -> None:
    """After a pause of the scraper's the instances are waited for, as at the first time."""
    adapter, silent = await with_page(rig, FIRST), await with_page(rig, FIRST)
    await go_round(rig)
    adapter.page = SECOND
    await silent.stop()
    for one in rig.manager.scrapes._fetched.values():
        one.at -= KEPT_SECONDS + 1
    assert running(await scrape(rig)) == {adapter.instance_id: "2"}


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (FIRST.replace("# EOF\n", ""), "malformed"),
        (FIRST.replace("running 1", "running one"), "malformed"),
        (None, "bad-answer"),
        (FIRST.replace("# TYPE", f"# HELP agent_task_running {'x' * MAX_PAGE_BYTES}\n# TYPE"), "bad-answer"),
    ],
    ids=["cut off", "no number", "not found", "too large"],
)
async def test_a_page_that_cannot_be_taken_is_refused_as_a_whole(
    rig: ManagerRig, page: str | None, reason: str
) -> None:
    """And counted; what was known of the instance before is not shown either."""
    adapter, other = await with_page(rig, FIRST), await with_page(rig, FIRST)
    await go_round(rig)
    adapter.page = page
    await go_round(rig)
    shown = await scrape(rig)
    assert running(shown) == {other.instance_id: "1"}
    assert refused(shown) == {reason: "1.0"}
    adapter.page = FIRST
    await go_round(rig)
    assert running(await scrape(rig))[adapter.instance_id] == "1"


async def test_a_page_of_another_format_is_refused(rig: ManagerRig) -> None:
    """Nothing is guessed: an instance that is no adapter may answer anything there."""
    adapter = await with_page(rig, None)
    adapter.page = None
    await scrape(rig)
    assert refused(await scrape(rig)) == {"bad-answer": "1.0"}


async def test_a_family_waits_until_its_name_is_free(rig: ManagerRig) -> None:
    """A page that says the same again is read again as long as a part of it was left out."""
    documents = "# TYPE documents {}\ndocuments{} 1\n# EOF\n"
    first = await with_page(rig, documents.format("gauge", ""))
    await go_round(rig)
    await with_page(rig, documents.format("counter", "_total"))
    await go_round(rig)
    page = await scrape(rig)
    assert "# TYPE documents gauge\n" in page
    assert refused(page)["type-conflict"] == "1.0"
    await rig.unregister(first)
    await go_round(rig)
    assert "# TYPE documents_total counter\n" in await scrape(rig)


def open_metrics(page: str) -> Iterable[Metric]:
    """Read a page as strictly as the library can."""
    families: Iterable[Metric] = read_open_metrics(page)  # type: ignore[no-untyped-call]  # the library's
    return families


async def test_the_page_is_sound_in_every_form(rig: ManagerRig) -> None:
    """Both formats, compressed or not, have the same series, each family in one place."""
    for agent_id in ("echo", "other"):
        for _ in range(2):
            await with_page(rig, RICH, agent_id)
        await rig.execute(agent_id, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    await go_round(rig)
    rich = await scrape(rig, **OPEN)
    series = [
        [(sample.name, sorted(sample.labels.items()), sample.value) for family in families for sample in family.samples]
        for families in (open_metrics(rich), read_plain_text(await scrape(rig, accept="text/plain")))
    ]
    assert sorted(series[0]) == sorted(series[1])
    async with rig.client.stream("GET", "/metrics", headers={**OPEN, "accept-encoding": "gzip"}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).decode() == rich


async def test_exemplars_are_in_open_metrics_alone(rig: ManagerRig) -> None:
    """Of the adapters' tasks, and of the manager's own calls."""
    await with_page(rig, RICH)
    await rig.execute(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    families = {family.name: family for family in open_metrics(await scrape(rig, **OPEN))}
    for name in ("agent_task_duration_seconds", "agent_manager_forward_duration_seconds"):
        exemplars = [one.exemplar for one in families[name].samples if one.exemplar]
        assert [one.labels for one in exemplars] == [{"trace_id": TRACE}]
    assert TRACE not in await scrape(rig)


async def test_a_trace_that_nobody_keeps_is_no_exemplar(rig: ManagerRig) -> None:
    """It would lead nowhere."""
    await with_page(rig, FIRST)
    for traceparent in (f"00-{TRACE}-00f067aa0ba902b7-00", "nonsense"):
        await rig.execute(traceparent=traceparent)
    assert TRACE not in await scrape(rig, **OPEN)


async def test_compression_may_be_declined(rig: ManagerRig) -> None:
    """By saying nothing of it, or that its quality is 0."""
    for encoding in ("identity", "gzip;q=0, identity", "br"):
        answer = await rig.client.get("/metrics", headers={"accept-encoding": encoding})
        assert "content-encoding" not in answer.headers


async def test_prometheus_is_told_of_every_instance(rig: ManagerRig) -> None:
    """With the labels that its series have on the manager's page, and with https where that is spoken."""
    plain, secure = await with_page(rig, FIRST), await with_page(rig, FIRST)
    rig.manager.registry._fleet.move(rig.instance(secure), Origin("127.0.0.1", secure.port, tls=True))
    answer = await rig.client.get("/api/prometheus/targets")
    assert answer.headers["content-type"] == "application/json"
    labels = [{"agent": "echo", "instance_id": adapter.instance_id} for adapter in (plain, secure)]
    assert answer.json() == [
        {"targets": [f"127.0.0.1:{plain.port}"], "labels": labels[0]},
        {"targets": [f"127.0.0.1:{secure.port}"], "labels": {**labels[1], "__scheme__": "https"}},
    ]
