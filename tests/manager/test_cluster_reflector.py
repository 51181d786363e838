"""The reflector: what it tells of is what the API server has."""

import asyncio
from typing import Any

import pytest
from agent_manager.cluster import reflector
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.objects import AGENT_LABEL

from tests.manager.api_objects import PODS
from tests.manager.fake_api_server import FakeApiServer, Request
from tests.manager.watching import labelled, opened, reopened, watching


async def test_it_tells_what_is_there_and_what_changes(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A list, then a watch from its very version: nothing is told twice, and nothing is missed."""
    store = api_server.store
    store.put(PODS, labelled("a"))
    store.put(PODS, {"metadata": {"name": "somebody-else"}})
    async with watching(cluster_api) as found:
        await found.mirror.until("a")
        await opened(api_server)
        store.put(PODS, labelled("b"))
        store.put(PODS, labelled("a", spec={"x": 1}))
        store.delete(PODS, "b")
        store.put(PODS, labelled("c"))
        await found.mirror.until("a", "c")
    assert found.mirror.told == ["seen a", "listed", "seen b", "seen a", "gone b", "seen c"]
    assert found.background.failures == {}


async def test_it_asks_as_the_api_wants_it(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Only for what carries the label, with bookmarks, and for a time that differs from watch to watch."""
    async with watching(cluster_api):
        await opened(api_server)
    [listed], [watched] = api_server.asked("list", "pods"), api_server.asked("watch", "pods")
    assert listed.query == {"labelSelector": AGENT_LABEL, "limit": "500"}
    seconds = int(watched.query.pop("timeoutSeconds"))
    assert 240 <= seconds <= 300
    assert watched.query == {
        "labelSelector": AGENT_LABEL,
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": str(api_server.store.version),
    }


async def test_a_name_that_comes_again_is_another_object(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A StatefulSet's pod is deleted and made anew under its name: the old one goes by its uid."""
    api_server.store.put(PODS, labelled("a-0"))
    async with watching(cluster_api) as found:
        await found.mirror.until("a-0")
        [old] = found.mirror.there
        await opened(api_server)
        api_server.close_watches(broken=True)
        api_server.store.delete(PODS, "a-0")
        api_server.store.put(PODS, labelled("a-0"))
        api_server.store.compact()
        await reopened(api_server, 2)
        await api_server.until(lambda: len(api_server.asked("list", "pods")) == 2)
        async with asyncio.timeout(5):
            while old in found.mirror.there:
                found.mirror.woken.clear()
                await found.mirror.woken.wait()
    assert found.mirror.names() == ["a-0"]


async def test_a_long_list_comes_in_pages(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is asked for by the token of the one before, and what is there is the sum."""
    monkeypatch.setattr(reflector, "PAGE", 2)
    for name in "abcde":
        api_server.store.put(PODS, labelled(name))
    async with watching(cluster_api) as found:
        await found.mirror.until(*"abcde")
        await opened(api_server)
    pages = api_server.asked("list", "pods")
    assert [request.query.get("continue") is not None for request in pages] == [False, True, True]
    assert found.mirror.told.count("listed") == 1


async def test_a_list_whose_version_is_forgotten_midway_begins_anew(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of the second page is too old: 410, and the whole list once more."""
    monkeypatch.setattr(reflector, "PAGE", 1)
    for name in "ab":
        api_server.store.put(PODS, labelled(name))

    def forget_once(request: Request) -> None:
        if "continue" in request.query and api_server.store.oldest == 0:
            api_server.store.put(PODS, labelled("c"))
            api_server.store.compact()

    api_server.answer = forget_once
    async with watching(cluster_api) as found:
        await found.mirror.until(*"abc")
    assert found.restarts() == {"expired": 1}


async def test_many_objects_leave_others_their_turn(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of thousands is told in slices: calls are forwarded meanwhile."""
    monkeypatch.setattr(reflector, "_SLICE_SECONDS", 0.0)
    for number in range(100):
        api_server.store.put(PODS, labelled(f"p{number}"))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with watching(cluster_api) as found:
        counting: list[asyncio.Task[None]] = []
        seen: list[int] = []

        def note(_: Any) -> None:
            if not counting:
                counting.append(asyncio.ensure_future(count()))
            seen.append(turns)

        found.mirror.on_seen = note
        await found.mirror.until(*(f"p{number}" for number in range(100)))
        counting[0].cancel()
    assert len(set(seen)) > 90
