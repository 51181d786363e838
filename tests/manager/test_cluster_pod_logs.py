"""The logs of pods by the API: whose log it is, what it is asked for, what becomes of errors and of long lines."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from agent_contract.problems import Problem
from agent_contract.tail import MAX_LINE_BYTES
from agent_manager.cluster import pod_logs as module
from agent_manager.cluster.api import ClusterApi
from agent_manager.cluster.pod_logs import PodLogs, container_of
from agent_manager.platform import Pod

from tests.manager.api_objects import PODS, pod, pod_file
from tests.manager.fake_api_server import FakeApiServer, Reply, Request, failure

THE_POD = Pod(uid="00000000-0000-0000-0000-000000000001", agent_id="echo", namespace="here", name="p")
"""The first object that the server holds."""
RESTARTED = {
    "name": "adapter",
    "restartCount": 1,
    "state": {"running": {}},
    "lastState": {"terminated": {"exitCode": 1}},
}


@pytest.fixture
def logs(cluster_api: ClusterApi) -> PodLogs:
    """Give the reader of logs."""
    return PodLogs(cluster_api)


def serve(server: FakeApiServer, texts: dict[tuple[str, str], bytes], **changes: Any) -> list[dict[str, str]]:
    """Hold a pod, and the logs of its containers by name and `previous`; gives what will be asked for."""
    server.store.put(PODS, pod(**changes))
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Reply | None:
        if request.subresource != "log":
            return None
        asked.append(request.query)
        text = texts.get((request.query["container"], request.query.get("previous", "")))
        if text is None:
            return failure(400, "BadRequest", "container is waiting to start: trying and failing to pull image")
        lines = text.splitlines(keepends=True)[-int(request.query["tailLines"]) :]
        return Reply(200, b"".join(lines), "text/plain")

    server.answer = answer
    return asked


@pytest.mark.parametrize(
    ("name", "container", "lived_before"),
    [
        ("running", "adapter", False),
        ("crash-loop", "adapter", False),
        ("out-of-memory-once", "adapter", True),
        ("init-crash-loop", "setup", False),
        ("init-runs", "setup", False),
        ("sidecar-crash-loop", "foreign", False),
        ("second-crash-loop", "adapter", False),
        ("image-pull-back-off", "adapter", False),
        ("unschedulable", "adapter", False),
    ],
)
def test_the_container_that_keeps_a_pod_from_working_speaks(name: str, container: str, *, lived_before: bool) -> None:
    """Real pods: mostly the adapter's own, else one that must have done its work before it."""
    found = container_of(pod_file(name))
    assert (found.name, found.lived_before) == (container, lived_before)


async def test_lines_come_with_the_kubelets_times(api_server: FakeApiServer, logs: PodLogs) -> None:
    """Also those that have none of their own, such as a traceback's; the last one needs no end."""
    text = b"2026-11-25T01:00:01.123456789Z one\n2026-11-25T01:00:02.5Z \xc3\xbc two\r\n2026-11-25T01:00:03Z three"
    asked = serve(api_server, {("adapter", ""): text})
    found = await logs.tail(THE_POD, 100, with_last_life=True)
    assert [one.line for one in found] == ["one", "ü two", "three"]
    assert found[0].at == datetime(2026, 11, 25, 1, 0, 1, 123456, tzinfo=UTC)
    assert asked == [{"container": "adapter", "tailLines": "100", "timestamps": "true"}]


async def test_the_life_before_comes_first_where_it_is_wanted(api_server: FakeApiServer, logs: PodLogs) -> None:
    """Its last words say why it ended; without them the new life's log is all there is."""
    texts = {
        ("adapter", "true"): b"2026-11-25T01:00:01Z started\n2026-11-25T01:00:02Z Traceback\n",
        ("adapter", ""): b"2026-11-25T01:00:03Z started again\n",
    }
    status = {"containerStatuses": [RESTARTED]}
    serve(api_server, texts, status=status)
    assert [one.line for one in await logs.tail(THE_POD, 2, with_last_life=True)] == ["Traceback", "started again"]
    assert [one.line for one in await logs.tail(THE_POD, 2, with_last_life=False)] == ["started again"]
    serve(api_server, {("adapter", ""): texts["adapter", ""]}, status=status)
    assert [one.line for one in await logs.tail(THE_POD, 2, with_last_life=True)] == ["started again"]


async def test_why_there_is_no_log_is_said_in_the_platforms_words(api_server: FakeApiServer, logs: PodLogs) -> None:
    """An image that cannot be pulled, a pod that is gone or another's, a right that is missing."""
    serve(api_server, {})
    with pytest.raises(Problem, match="pod here/p: container is waiting to start") as raised:
        await logs.tail(THE_POD, 1, with_last_life=True)
    assert raised.value.code == "logs-unavailable"
    api_server.store.delete(PODS, "p")
    with pytest.raises(Problem, match="pod here/p:"):
        await logs.tail(THE_POD, 1, with_last_life=True)
    serve(api_server, {})
    with pytest.raises(Problem, match="replaced by another"):
        await logs.tail(THE_POD, 1, with_last_life=True)
    api_server.answer = lambda _: failure(403, "Forbidden", "may not get pods/log")
    with pytest.raises(Problem, match="may not get pods/log"):
        await logs.tail(THE_POD, 1, with_last_life=True)


async def test_what_is_kept_of_a_log_is_bounded(
    api_server: FakeApiServer, logs: PodLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent prints what it likes; the manager keeps the end of it."""
    monkeypatch.setattr(module, "MAX_TAIL_BYTES", 25)
    lines = b"".join(b"2026-11-25T01:00:0%dZ 123456789%d\n" % (number, number) for number in range(9))
    serve(api_server, {("adapter", ""): lines})
    assert [one.line for one in await logs.tail(THE_POD, 100, with_last_life=True)] == ["1234567897", "1234567898"]
    monkeypatch.undo()
    serve(api_server, {("adapter", ""): b"2026-11-25T01:00:01Z " + b"x" * (MAX_LINE_BYTES + 9) + b"\n"})
    (long,) = await logs.tail(THE_POD, 1, with_last_life=True)
    assert long.line == "x" * MAX_LINE_BYTES + "…"


async def test_a_log_is_followed_until_its_container_ends(
    api_server: FakeApiServer, logs: PodLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then whoever follows asks again, not at once."""
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0)
    asked = serve(api_server, {("adapter", ""): b"2026-11-25T01:00:01Z one\n2026-11-25T01:00:02Z two\n"})
    async with aclosing(logs.follow(THE_POD, 10)) as texts:
        assert [text.line async for text in texts] == ["one", "two"]
    assert asked == [{"container": "adapter", "tailLines": "10", "timestamps": "true", "follow": "true"}]
