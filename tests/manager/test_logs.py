"""The log lines of an agent's instances: merged by time, followed without a gap, of newcomers too."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from agent_contract.problems import Problem
from agent_contract.sse import Event, EventParser
from agent_contract.tail import GAP
from agent_manager.discovery.events import PodSeen
from agent_manager.live import Live
from agent_manager.log_lines import OVERLAP_LINES, Follower, Text
from agent_manager.log_sources import LogSources
from agent_manager.logs import Logs
from agent_manager.platform import Pod

from tests.manager.manager_rig import ManagerRig

ONE = "/api/agent-services/echo"


def said(second: float, message: str) -> str:
    """Give a log line of this second of one minute."""
    return f'{{"timestamp":"2026-11-25T01:00:{second:09.6f}Z","message":"{message}"}}'


async def test_lines_of_all_instances_are_merged_by_time(rig: ManagerRig) -> None:
    """However their times are spelled; a line without one stays with the one before it."""
    adapters = [await rig.adapter() for _ in range(2)]
    adapters[0].log = [said(1, "a"), "Traceback", '{"timestamp":"2026-11-25T01:00:04Z","message":"b"}']
    adapters[1].log = [said(2, "c"), '{"timestamp":"2026-11-25T03:00:03.5+02:00","message":"d"}']
    lines = (await rig.get(f"{ONE}/logs"))["lines"]
    assert [line["line"] for line in lines] == [
        adapters[0].log[0],
        "Traceback",
        *adapters[1].log,
        adapters[0].log[2],
    ]
    assert lines[0]["instanceId"] == adapters[0].instance_id
    (last,) = (await rig.get(f"{ONE}/logs", lines=1, instanceId=adapters[1].instance_id))["lines"]
    assert last["line"] == adapters[1].log[1]


async def test_an_instance_without_a_log_says_so(rig: ManagerRig) -> None:
    """Beside the lines of the others; 503 when none has any."""
    adapters = [await rig.adapter() for _ in range(2)]
    await adapters[0].stop()
    lines = (await rig.get(f"{ONE}/logs"))["lines"]
    assert (lines[0]["instanceId"], lines[0]["error"]["code"]) == (adapters[0].instance_id, "unavailable")
    assert len(lines) == 4
    answer = await rig.client.get(f"{ONE}/logs", params={"instanceId": adapters[0].instance_id})
    assert (answer.status_code, answer.json()["code"]) == (503, "logs-unavailable")


async def test_new_lines_are_followed_also_of_newcomers(rig: ManagerRig) -> None:
    """One stream for all instances, whoever comes."""
    first = await rig.adapter()
    async with rig.events(f"{ONE}/logs?follow=true&lines=3") as lines:
        got = [await anext(lines) for _ in range(3)]
        second = await rig.adapter()
        got += [await anext(lines) for _ in range(3)]
    decoded = [msgspec.json.decode(event.data) for event in got]
    assert {event.event for event in got} == {"line"}
    assert [line["line"] for line in decoded[:3]] == first.log
    assert [line["instanceId"] for line in decoded] == [first.instance_id] * 3 + [second.instance_id] * 3


async def test_a_followed_log_begins_merged_and_goes_on_without_a_gap(rig: ManagerRig) -> None:
    """The last lines of all in the order of time; a stream that broke goes on behind its last line."""
    adapters = [await rig.adapter() for _ in range(2)]
    adapters[0].log = [said(1, "a"), said(4, "d")]
    adapters[1].log = [said(2, "b"), said(3, "c")]
    adapters[0].followed_enough.set()
    async with rig.events(f"{ONE}/logs?follow=true&lines=2") as lines:
        assert [await message(lines) for _ in range(4)] == ["a", "b", "c", "d"]
        adapters[0].log += [said(5, "e"), said(6, "f")]
        assert [await message(lines) for _ in range(2)] == ["e", "f"]
        adapters[0].log = [said(8, "h")]  # another file, and what was between is gone
        assert [await message(lines) for _ in range(2)] == [GAP, "h"]


def test_a_follower_takes_each_line_once() -> None:
    """The tail that comes again is skipped up to the last line, also where its neighbours say the same."""
    began = datetime(2026, 11, 25, tzinfo=UTC)
    log = [
        Text("the same" if number % 2 else f"line {number}", began + timedelta(seconds=number)) for number in range(9)
    ]
    follower = Follower()
    got = [line for text in log[:5] for line in follower.take(text)]
    follower.begin()
    got += [line for text in log[2:] for line in follower.take(text)]
    assert got == [text.line for text in log]


def test_a_follower_gives_up_looking_for_a_line_that_is_gone() -> None:
    """With a mark, also where times do not tell: a clock that was put back must not silence a log."""
    began = datetime(2026, 11, 25, tzinfo=UTC)
    follower = Follower()
    follower.take(Text("last", began))
    follower.begin()
    for number in range(OVERLAP_LINES):
        assert follower.take(Text(f"{number}", began - timedelta(hours=1))) == []
    mark, line = follower.take(Text("on", began - timedelta(hours=1)))
    assert (json.loads(mark)["message"], line) == (GAP, "on")


# --- pods ---


class StubPodLogs:
    """Logs of pods as the platform gives them, by the pod's name."""

    def __init__(self, **logs: list[str]) -> None:
        self.logs = logs
        self.asked: list[tuple[str, bool]] = []

    async def tail(self, pod: Pod, lines: int, *, with_last_life: bool) -> list[Text]:
        """Give the last lines; raises Problem for an unknown pod."""
        self.asked.append((pod.name, with_last_life))
        if pod.name not in self.logs:
            raise Problem("logs-unavailable", "waiting to start")
        start = datetime(2026, 11, 25, 1, tzinfo=UTC)
        return [Text(line, start + timedelta(seconds=number)) for number, line in enumerate(self.logs[pod.name])][
            -lines:
        ]

    async def follow(self, pod: Pod, lines: int) -> AsyncGenerator[Text, None]:
        """Give the last lines, then nothing more."""
        for text in await self.tail(pod, lines, with_last_life=False):
            yield text
        await asyncio.Event().wait()


def logs_with(rig: ManagerRig, pods: StubPodLogs) -> Logs:
    """Give the logs of a manager in a cluster."""
    manager = rig.manager
    live = Live(rig.parts.client, lambda *_: [])
    return Logs(manager.registry, manager.queries, LogSources(live, rig.parts.client, pods))


def bare(uid: str, **facts: Any) -> Pod:
    """Give a pod of the agent in which no process is known."""
    return Pod(uid=uid, agent_id="echo", namespace="here", name=f"name-of-{uid}", **facts)


async def test_a_pod_without_a_process_has_a_log(rig: ManagerRig) -> None:
    """Of its container's last life too, for that says why it is no more; by its uid alone, or among the others."""
    adapter = await rig.adapter()
    adapter.log = [said(0.5, "of the process")]
    rig.manager.registry.apply(PodSeen(pod=bare("u1")))
    pods = StubPodLogs(**{"name-of-u1": ["started", "Traceback"]})
    logs = logs_with(rig, pods)
    alone = (await logs.tail("echo", "u1", 100)).lines
    assert [(line.instance_id, line.line) for line in alone] == [("u1", "started"), ("u1", "Traceback")]
    every = (await logs.tail("echo", None, 100)).lines
    assert [line.instance_id for line in every] == ["u1", adapter.instance_id, "u1"]
    assert pods.asked == [("name-of-u1", True)] * 2


async def test_an_adapter_without_a_log_file_has_that_of_its_pod(rig: ManagerRig) -> None:
    """So has one that does not answer; what neither has is said with the platform's reason."""
    adapter = await rig.adapter()
    adapter.log_problem = Problem("logs-unavailable", "read-only file system")
    rig.manager.registry.apply(PodSeen(pod=bare("u1", ip="127.0.0.1", running=True)))
    assert rig.instance(adapter).pod is not None
    pods = StubPodLogs(**{"name-of-u1": ["from the pod"]})
    (line,) = (await logs_with(rig, pods).tail("echo", None, 100)).lines
    assert (line.instance_id, line.line) == (adapter.instance_id, "from the pod")
    assert pods.asked == [("name-of-u1", False)]
    followed = logs_with(rig, pods).follow("echo", None, 100)
    assert msgspec.json.decode(events(await anext(followed))[0].data)["line"] == "from the pod"
    await followed.aclose()
    await adapter.stop()
    with pytest.raises(Problem, match="waiting to start"):
        await logs_with(rig, StubPodLogs()).tail("echo", None, 100)


async def message(lines: AsyncIterator[Event]) -> str:
    """Give the message of the next line."""
    text: str = json.loads(json.loads((await anext(lines)).data)["line"])["message"]
    return text


def events(frames: bytes) -> list[Event]:
    """Give the events in these bytes."""
    return EventParser().feed(frames)
