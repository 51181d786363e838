"""A manager that answers what a test tells it to, over real HTTP, and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Events = Callable[[], Iterator[bytes]]


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Reply:
    """One answer to give: a JSON body, raw bytes, or a stream of events."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    events: Events | None = None


class FakeManager:
    """Answers by method and path; of several replies to one route the last is given again."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        """Give the port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Give its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone, before the block ends."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, method: str, path: str, *replies: Reply | dict[str, Any]) -> None:
        """Answer a route, with each reply once and the last one from then on."""
        self._replies[method, path] = [one if isinstance(one, Reply) else Reply(one) for one in replies]

    def problem(self, method: str, path: str, status: int, code: str, detail: str, **extra: Any) -> None:
        """Answer a route with a problem."""
        body = {"type": "about:blank", "title": "x", "status": status, "detail": detail, "code": code, **extra}
        self.on(method, path, Reply(body, status, {"Content-Type": "application/problem+json"}))

    def last(self, method: str) -> Asked:
        """Give the last request of a method."""
        return next(one for one in reversed(self.asked) if one.method == method)

    def reply_to(self, asked: Asked) -> Reply:
        """Give the answer to a request, and keep the request."""
        self.asked.append(asked)
        replies = self._replies.get((asked.method, asked.path))
        if not replies:
            return Reply({"status": 404, "code": "not-found", "detail": f"no route {asked.path}"}, 404)
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        manager = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                address = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                query = dict(parse_qsl(address.query))
                reply = manager.reply_to(Asked(self.command, address.path, query, dict(self.headers), body))
                self.stream(reply) if reply.events else self.whole(reply)

            def whole(self, reply: Reply) -> None:
                content = json.dumps(reply.body).encode() if reply.raw is None else reply.raw
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def stream(self, reply: Reply) -> None:
                self.close_connection = True
                self.send_response(reply.status)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                assert reply.events is not None
                for event in reply.events():
                    try:
                        self.wfile.write(event)
                    except OSError:
                        return  # the command has gone

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the parent's name
                pass

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server's names

        return Handler


def event(name: str, data: Any) -> bytes:
    """Give one event of a stream."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def instance(instance_id: str = "i-1", **members: Any) -> dict[str, Any]:
    """Give an instance as a listing shows it."""
    return {
        "instanceId": instance_id,
        "serviceUrl": "http://127.0.0.1:8100",
        "state": "running",
        "reachable": True,
        "source": "registration",
        "registeredAt": "2026-01-01T12:00:00Z",
        "lastSeen": "2026-01-01T12:00:00Z",
        "startedAt": "2026-01-01T12:00:00Z",
        "version": "1.0.0",
        "adapterVersion": "0.1.0",
        "restarts": 0,
        "maxConcurrency": 4,
        "current_task": None,
        "running": 0,
        "queued": 0,
        "drain": None,
        "problem": None,
        **members,
    }


def agent(agent_id: str = "planner", *instances: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Give an agent as a listing shows it."""
    return {
        "id": agent_id,
        "name": "PlannerAgent",
        "description": "Plans",
        "state": "running",
        "desiredState": "running",
        "parametersSchema": None,
        "sources": ["registration"],
        "readyInstances": len(instances),
        "desiredInstances": None,
        "problem": None,
        "instances": list(instances),
        **members,
    }


def listing(*agents: dict[str, Any]) -> dict[str, Any]:
    """Give a listing."""
    return {"revision": 1, "agents": list(agents)}
