"""The edge to the Kubernetes API: what goes out, what comes back, and what becomes of everything else."""

import asyncio
import contextlib
import json

import pytest
from agent_manager.cluster import api as edge
from agent_manager.cluster.api import ApiFailed, ApiSilent, ApiUnreachable, ClusterApi

from tests.manager.fake_api_server import FakeApiServer, Reply, Silence, failure

PODS = "/api/v1/namespaces/here/pods"
MERGE = "application/merge-patch+json"


async def lines_of(cluster_api: ClusterApi, *, inactivity_seconds: float = 5.0) -> list[bytes]:
    """Give the lines of a watch that ends."""
    lines = []
    async with contextlib.aclosing(
        cluster_api.watch(PODS, {"watch": "true"}, inactivity_seconds=inactivity_seconds)
    ) as watch:
        async for line in watch:
            lines.append(line)  # noqa: PERF401  # those that came before it breaks count too
    return lines


# --- requests ---------------------------------------------------------------------------------------------------------


async def test_a_request_carries_who_asks_and_what_it_wants(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """With the credentials of the kubeconfig, and never compressed: inflating would hold up the event loop."""
    await cluster_api.request("GET", PODS, query={"labelSelector": "a/b=c", "limit": "1"})
    [request] = api_server.requests
    assert (request.path, request.query) == (PODS, {"labelSelector": "a/b=c", "limit": "1"})
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept-encoding"] == "identity"
    assert cluster_api.namespace == "here"


async def test_a_write_carries_its_json_and_its_type(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A merge patch is one, and what comes back is the new object."""
    api_server.store.put(PODS, {"metadata": {"name": "p", "labels": {"a": "b"}}})
    answer = await cluster_api.request(
        "PATCH", f"{PODS}/p", body=b'{"metadata":{"labels":{"a":null,"c":"d"}}}', content_type=MERGE
    )
    assert json.loads(answer)["metadata"]["labels"] == {"c": "d"}
    assert api_server.requests[0].headers["content-type"] == MERGE


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422, 429, 500, 503])
async def test_an_error_of_the_api_keeps_its_reason(
    api_server: FakeApiServer, cluster_api: ClusterApi, status: int
) -> None:
    """Status, word and message, for those who decide by them and those who read them."""
    api_server.answer = lambda _: failure(status, "Because", "of this")
    with pytest.raises(ApiFailed) as raised:
        await cluster_api.request("GET", PODS)
    assert (raised.value.status, raised.value.reason, raised.value.message) == (status, "Because", "of this")
    assert str(raised.value) == f"{status} Because: of this"


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("0.5", 0.5), ("Wed, 21 Oct 2026 07:28:00 GMT", None), (None, None)]
)
async def test_an_error_says_how_long_to_stay_away(
    api_server: FakeApiServer, cluster_api: ClusterApi, text: str | None, seconds: float | None
) -> None:
    """As seconds; a date is not looked at, the usual pause will do."""
    api_server.answer = lambda _: failure(429, "TooManyRequests", retry_after=text)
    with pytest.raises(ApiFailed) as raised:
        await cluster_api.request("GET", PODS)
    assert raised.value.retry_after_seconds == seconds


async def test_a_load_balancers_page_is_an_error_too(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It has a status, and no reason of the API."""
    api_server.answer = lambda _: Reply(502, b"<html>Bad Gateway</html>", "text/html")
    with pytest.raises(ApiFailed, match="502 Bad Gateway: an answer of type text/html"):
        await cluster_api.request("GET", PODS)


async def test_a_page_with_status_200_is_no_answer(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A login page is not the API."""
    api_server.answer = lambda _: Reply(200, b"<html>Please log in</html>", "text/html")
    with pytest.raises(ApiUnreachable, match="an answer of type text/html"):
        await cluster_api.request("GET", PODS)
    with pytest.raises(ApiUnreachable, match="an answer of type text/html"):
        await lines_of(cluster_api)


async def test_nobody_listens(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It says what was asked and why it failed."""
    await api_server.stop()
    with pytest.raises(ApiUnreachable, match=f"cannot GET {PODS}: "):
        await cluster_api.request("GET", PODS)


async def test_an_answer_that_does_not_come_in_time(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """A request is bounded as a whole."""
    api_server.answer = lambda _: Silence()
    with pytest.raises(ApiUnreachable, match="no answer in time"):
        await cluster_api.request("GET", PODS, timeout_seconds=0.05)
    with pytest.raises(ApiUnreachable, match="no answer in time"):
        await lines_of(cluster_api, inactivity_seconds=0.05)


async def test_an_answer_without_end_is_not_kept(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever answers there, the manager's memory is bounded."""
    monkeypatch.setattr(edge, "MAX_ANSWER_BYTES", 1000)
    api_server.answer = lambda _: Reply(200, {"a": "x" * 2000})
    with pytest.raises(ApiUnreachable, match="over 1000 bytes"):
        await cluster_api.request("GET", PODS)


async def test_proxies_of_the_environment_are_not_used(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are for the outside, and would see the cluster's tokens."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await cluster_api.request("GET", PODS)
    assert len(api_server.requests) == 1


# --- watches ----------------------------------------------------------------------------------------------------------


async def test_a_watch_gives_lines_however_they_arrive(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """Several in one piece, one in several; it ends when the server ends it."""
    watching = asyncio.create_task(lines_of(cluster_api))
    await api_server.until(lambda: api_server.watching("pods") == 1)
    api_server.write(b"one\ntwo\nthr")
    api_server.write(b"ee\n")
    api_server.close_watches()
    assert await watching == [b"one", b"two", b"three"]


async def test_a_watch_says_when_it_is_open(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """The first line may be a minute away."""
    opened = asyncio.Event()
    watch = cluster_api.watch(PODS, {"watch": "true"}, inactivity_seconds=5, on_open=opened.set)
    async with contextlib.aclosing(watch):
        first = asyncio.ensure_future(anext(watch))
        async with asyncio.timeout(5):
            await opened.wait()
        assert not first.done()
        api_server.write(b"a line\n")
        assert await first == b"a line"


async def test_a_watch_closes_its_connection(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """However it is left."""
    api_server.store.put(PODS, {"metadata": {"name": "p"}})
    async with contextlib.aclosing(cluster_api.watch(PODS, {"watch": "true"}, inactivity_seconds=5)) as watch:
        assert b'"ADDED"' in await anext(watch)
    await api_server.until(lambda: api_server.watching("pods") == 0)


async def test_a_silent_watch_is_given_up(cluster_api: ClusterApi) -> None:
    """The socket is open and nothing comes: it says for how long."""
    with pytest.raises(ApiSilent, match=r"nothing came for 0\.1 s"):
        await lines_of(cluster_api, inactivity_seconds=0.1)


@pytest.mark.parametrize("broken", [True, False])
async def test_half_a_line_is_none(api_server: FakeApiServer, cluster_api: ClusterApi, *, broken: bool) -> None:
    """A connection that broke within a line did not say it, whether or not it was closed in order."""
    watching = asyncio.create_task(lines_of(cluster_api))
    await api_server.until(lambda: api_server.watching("pods") == 1)
    api_server.write(b'{"type":"ADD')
    api_server.close_watches(broken=broken)
    with pytest.raises(ApiUnreachable):
        await watching


async def test_a_line_without_end_is_given_up(
    api_server: FakeApiServer, cluster_api: ClusterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever answers there, the manager's memory is bounded."""
    monkeypatch.setattr(edge, "MAX_LINE_BYTES", 1000)
    watching = asyncio.create_task(lines_of(cluster_api))
    await api_server.until(lambda: api_server.watching("pods") == 1)
    api_server.write(b"x" * 2000)
    with pytest.raises(ApiUnreachable, match="over 1000 bytes"):
        await watching


async def test_a_watch_that_is_refused(api_server: FakeApiServer, cluster_api: ClusterApi) -> None:
    """It is the API's error, before any line."""
    api_server.answer = lambda _: failure(403, "Forbidden", "no")
    with pytest.raises(ApiFailed, match="403 Forbidden: no"):
        await lines_of(cluster_api)
