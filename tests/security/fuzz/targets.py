"""What reads bytes of strangers: each reads any bytes, or refuses them with the one error that it says it raises."""

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from agent_contract.problems import Problem
from agent_contract.sse import EventParser, EventTooLarge
from agent_contract.tracing.context import parse
from agent_manager.agent_client import BadResponse
from agent_manager.agent_client.parser import ResponseParser
from agent_manager.cluster.mirrors import PodMirror
from agent_manager.cluster.objects import UNREADABLE, AnyObject, WatchEvent
from agent_manager.log_lines import Follower, Times
from agent_manager.metrics.reading import Malformed, Reader
from agent_manager.service_urls import ServiceUrls, read

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
POD: Final = {
    "metadata": {
        "name": "executor-1",
        "namespace": "agents",
        "uid": "0b4e",
        "resourceVersion": "7",
        "labels": {"agent-orchestration.dev/agent": "executor"},
        "annotations": {"agent-orchestration.dev/port": "8101"},
    },
    "spec": {"containers": [{"name": "agent", "ports": [{"name": "agent", "containerPort": 8101}]}]},
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.7",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "containerStatuses": [
            {
                "name": "agent",
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {
                    "terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-01T00:00:00Z"}
                },
            }
        ],
    },
}
_EVENT: Final = msgspec.json.Decoder(WatchEvent)
_ANY: Final = msgspec.json.Decoder(AnyObject)


class Target(NamedTuple):
    """Something that reads, and examples of what it is there to read."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def service_url(data: bytes) -> None:
    """Read a service URL, and decide whether who registers may use it."""
    with contextlib.suppress(Problem):
        place = read(data.decode("latin-1"))
        if not isinstance(place.host, str):  # a name is looked up first
            ServiceUrls(["agents.example", "10.0.0.0/8"]).permit(place, "10.0.0.7")


def response(data: bytes) -> None:
    """Read an agent's answer, in one piece and byte by byte."""
    for size in (len(data) or 1, 1):
        for streams in (False, True):
            parser = ResponseParser(65536, 1 << 20)
            parser.expect(head_only=False, streams=streams)
            with contextlib.suppress(BadResponse):
                for at in range(0, len(data), size):
                    if parser.complete:
                        break
                    parser.feed(data[at : at + size])
                    assert len(parser.take() if parser.streaming else b"") <= len(data)
            parser.let_go()


def watch_line(data: bytes) -> None:
    """Read a line of a watch, and what it says of a pod."""
    try:
        event = _EVENT.decode(data)
        metadata = _ANY.decode(event.object).metadata
    except UNREADABLE:
        return
    mirror = PodMirror(lambda _: None, wall=lambda: NOW, appeared=lambda _: None, listed=lambda: None)
    mirror.seen(metadata, event.object)
    mirror.gone(metadata.uid)


def log_line(data: bytes) -> None:
    """Read the time that a line of a log says, and follow on from it."""
    follower, times = Follower(), Times()
    follower.begin()
    for line in data.decode("utf-8", "replace").splitlines():
        follower.take(times.of(line))


def event_stream(data: bytes) -> None:
    """Read events, in one piece and byte by byte; both find the same."""
    found = []
    for size in (len(data) or 1, 1):
        parser, events = EventParser(), []
        with contextlib.suppress(EventTooLarge):
            for at in range(0, len(data), size):
                events += parser.feed(data[at : at + size])
        found.append(events)
    assert found[0] == found[1]


def metrics_page(data: bytes) -> None:
    """Read a page of metrics."""
    with contextlib.suppress(Malformed):
        for _ in Reader(data, "executor", "01a2").slices():
            pass


def traceparent(data: bytes) -> None:
    """Read a `traceparent`."""
    found = parse(data.decode("latin-1"))
    assert found is None or len(found.trace_id) == 32


TARGETS: Final = {
    "service-url": Target(
        service_url,
        (b"http://10.0.0.7:8101", b"https://[2001:db8::1]:8101", b"http://agents.example:80", b"http://0x7f.1:80"),
    ),
    "response": Target(
        response,
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n",
        ),
    ),
    "watch-line": Target(
        watch_line,
        tuple(json.dumps({"type": kind, "object": POD}).encode() for kind in ("ADDED", "DELETED", "BOOKMARK")),
    ),
    "log-line": Target(
        log_line, (b'{"timestamp":"2026-01-01T00:00:00.000001Z","event":"asked"}\nplain\n', b'{"timestamp":1}\n')
    ),
    "event-stream": Target(event_stream, (b"id: 7\nevent: agent\ndata: {}\n\n: beat\n\n", b"data: a\r\ndata: b\r\r")),
    "metrics-page": Target(
        metrics_page,
        (
            b'# TYPE a counter\n# HELP a b\na_total{b="c\\"d"} 1.0 # {trace_id="1"} 0.5 1.0\n# EOF\n',
            b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n# EOF\n',
        ),
    ),
    "traceparent": Target(traceparent, (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",)),
}
