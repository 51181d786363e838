"""Whatever breaks between the reflector and the API server: in the end it has told of what is there."""

from typing import Any

import pytest
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pace import Pace

from tests.manager.api_objects import PODS
from tests.manager.fake_api_server import FakeApiServer, Reply
from tests.manager.watching import labelled, opened, reopened, watching


@pytest.mark.parametrize("by_event", [True, False])
async def test_a_ghost_is_gone_at_the_relist(
    api_server: FakeApiServer, cluster_api: ClusterApi, *, by_event: bool
) -> None:
    """F18: a delete falls into a gap of which the API server knows nothing more (410, either way)."""
    api_server.expires_by_event = by_event
    for name in "ab":
        api_server.store.put(PODS, labelled(name))
    async with watching(cluster_api) as found:
        await found.mirror.until("a", "b")
        await opened(api_server)
        api_server.close_watches(broken=True)
        api_server.store.delete(PODS, "a")
        api_server.store.compact()
        await found.mirror.until("b")
    assert found.mirror.told == ["seen a", "seen b", "listed", "gone a", "listed"]
    assert found.restarts() == {"unreachable": 1, "expired": 1}


@pytest.mark.parametrize("broken", [True, False])
async def test_it_goes_on_where_it_was(api_server: FakeApiServer, cluster_api: ClusterApi, *, broken: bool) -> None:
    """A watch that ended is watched again from the last version, without a list."""
    async with watching(cluster_api) as found:
        await opened(api_server)
        api_server.store.put(PODS, labelled("a"))
        await found.mirror.until("a")
        api_server.close_watches(broken=broken)
        api_server.store.put(PODS, labelled("b"))
        api_server.store.delete(PODS, "a")
        await found.mirror.until("b")
        await reopened(api_server, 2)
    assert len(api_server.asked("list", "pods")) == 1
    assert found.mirror.told.count("seen a") == 1


async def test_a_bookmark_moves_it_on(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Nothing of ours changed for long; the version that we would begin from is fresh all the same."""
    async with watching(cluster_api) as found:
        await opened(api_server)
        api_server.store.put("/api/v1/namespaces/there/pods", labelled("x"))
        api_server.bookmark()
        api_server.store.compact()
        api_server.close_watches()
        await reopened(api_server, 2)
        assert api_server.asked("watch", "pods")[1].query["resourceVersion"] == str(api_server.store.version)
    assert "expired" not in found.restarts()


async def test_a_silent_watch_is_made_anew(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """F19: the socket is open and nothing comes. After 70 s (here less) everything that was missed is there."""
    assert Pace().inactivity == 70.0
    api_server.store.put(PODS, labelled("a"))
    async with watching(cluster_api, Pace(shortest=0.005, longest=0.02, inactivity=0.3)) as found:
        await opened(api_server)
        api_server.muted = True
        api_server.store.delete(PODS, "a")
        api_server.store.put(PODS, labelled("b"))
        await found.mirror.until("b")
        api_server.muted = False
    assert found.restarts() == {"inactive": 1}


NONSENSE: dict[str, bytes] = {
    "no json": b"this is no JSON\n",
    "a page": b"<html>\n",
    "no event": b'{"kind":"Pod"}\n',
    "a list": b"[]\n",
    "an empty line": b"\n",
    "no utf-8": b'{"type":"\xff","object":{}}\n',
    "deep": b'{"type":"ADDED","object":' + b"[" * 100_000 + b"\n",
    "an empty bookmark": b'{"type":"BOOKMARK","object":{}}\n',
    "an empty error": b'{"type":"ERROR","object":1}\n',
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_ends_one_watch_and_no_more(
    api_server: FakeApiServer, cluster_api: ClusterApi, name: str
) -> None:
    """It is begun again, and what comes then counts."""
    async with watching(cluster_api) as found:
        await opened(api_server)
        api_server.write(NONSENSE[name])
        await reopened(api_server, 2)
        api_server.store.put(PODS, labelled("a"))
        await found.mirror.until("a")
    assert found.restarts() == {"unreachable": 1}
    assert found.background.failures == {}


async def test_an_object_without_sound_metadata_is_left_out(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It ends nothing, and the others are told of."""
    async with watching(cluster_api) as found:
        await opened(api_server)
        api_server.write(b'{"type":"ADDED","object":{"metadata":{"name":null}}}\n')
        api_server.write(b'{"type":"DELETED","object":{}}\n')
        api_server.store.put(PODS, labelled("a"))
        await found.mirror.until("a")
    assert found.restarts() == {}


async def test_another_error_event_means_a_new_list(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """The same version would bring the same error."""
    async with watching(cluster_api) as found:
        await opened(api_server)
        api_server.write(b'{"type":"ERROR","object":{"kind":"Status","reason":"InternalError","code":500}}\n')
        await api_server.until(lambda: len(api_server.asked("list", "pods")) == 2)
    assert found.restarts() == {"error": 1}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>", "text/html"),
        Reply(200, {"items": 1}),
        Reply(200, {"metadata": {}, "items": []}),
        Reply(204),
    ],
    ids=["page", "no list", "no version", "nothing"],
)
async def test_a_list_that_is_none_is_asked_for_again(
    api_server: FakeApiServer, cluster_api: ClusterApi, reply: Reply
) -> None:
    """Nothing is dropped by it."""
    api_server.store.put(PODS, labelled("a"))
    async with watching(cluster_api) as found:
        await found.mirror.until("a")
        await opened(api_server)
        api_server.answer = lambda _: reply if len(api_server.asked("list", "pods")) == 2 else None
        api_server.write(b'{"type":"ERROR","object":{"code":410}}\n')
        await reopened(api_server, 2)
    assert found.mirror.told == ["seen a", "listed", "listed"]
    assert found.restarts() == {"expired": 1, "unreachable": 1}


async def test_a_fault_of_our_own_is_mended_by_a_new_list(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """What nobody foresaw is logged and counted, and what was not told is told then."""
    async with watching(cluster_api) as found:
        await opened(api_server)

        def fail_once(_: Any) -> None:
            found.mirror.on_seen = lambda _: None
            raise RuntimeError("as the test wants it")

        found.mirror.on_seen = fail_once
        api_server.store.put(PODS, labelled("a"))
        await found.mirror.until("a")
        await reopened(api_server, 2)
    assert found.background.failures == {"kubernetes-watch": 1}
    assert found.mirror.told == ["listed", "seen a", "listed"]
