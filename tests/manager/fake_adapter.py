"""An adapter on a real socket that follows the contract's outside, with a life that a test directs by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import msgspec
from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer, send_problem
from agent_contract.identity import new_id
from agent_contract.problems import Problem, refusal
from agent_contract.serving import Server, listen
from agent_contract.sse import STREAM_HEADERS, encode_event
from agent_contract.wire import Drain, Info, RunningTask, State, Status

JSON = (b"content-type", b"application/json")
OPEN_METRICS = (b"content-type", b"application/openmetrics-text; version=1.0.0; charset=utf-8")
Executor = Callable[["Call"], Awaitable[None]]


class Call:
    """One `/execute` that arrived, and the ways to answer it."""

    def __init__(self, adapter: "FakeAdapter", scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        self.adapter = adapter
        self.headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.receive = receive
        self.send = send
        self.body = body
        self.task_id = self.headers.get("x-task-id", "")
        self.left = asyncio.Event()

    async def answer(self, result: Any = "done", *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with a result."""
        body = msgspec.json.encode({"taskId": self.task_id, "result": result, "durationSeconds": 0.0})
        extra = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        await send_answer(self.send, status, [JSON, (b"x-task-id", self.task_id.encode()), *extra], body)

    async def refuse(self, code: str) -> None:
        """Answer that no work began."""
        await send_problem(self.send, refusal(code, f"it is {code}"), [(b"x-task-id", self.task_id.encode())])

    async def begin_stream(self) -> None:
        """Send the head of an event stream, and note when its reader goes."""
        headers = [*STREAM_HEADERS, (b"x-task-id", self.task_id.encode())]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        self._watcher = asyncio.create_task(self._watch())

    async def chunk(self, data: bytes, *, event: str | None = "chunk") -> None:
        """Send one event, or with no name the bytes as they are."""
        piece = data if event is None else encode_event(event, data)
        await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end_stream(self) -> None:
        """Send the stream's end."""
        self._watcher.cancel()
        await self.send({"type": "http.response.body", "body": b""})

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.left.set()


async def answer_at_once(call: Call) -> None:
    """Answer with the parameters."""
    try:
        parameters = msgspec.json.decode(call.body).get("parameters")
    except (msgspec.DecodeError, AttributeError):
        await send_problem(call.send, Problem("bad-request", "this is no JSON object"))
    else:
        await call.answer(parameters)


async def never_answer(call: Call) -> None:
    """Keep the caller waiting until the test ends."""
    await call.left.wait()


class FakeAdapter:
    """Answers as an adapter does. `execute` says what becomes of calls; `calls` are those that arrived."""

    def __init__(self, agent_id: str, instance_id: str | None = None) -> None:
        self.agent_id = agent_id
        self.instance_id = instance_id or new_id()
        self.state: State = "running"
        self.drain: Drain | None = None
        self.execute: Executor = answer_at_once
        self.calls: list[Call] = []
        self.arrived = asyncio.Condition()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.log = [f'{{"timestamp":"2026-01-01T00:00:0{second}Z","message":"line {second}"}}' for second in range(3)]
        self.log_problem: Problem | None = None
        """What it answers to `/logs` in the place of lines."""
        self.followed_enough = asyncio.Event()
        """Set: it ends each stream of its log behind the lines that are there."""
        self.actions: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.drained: list[tuple[str, Any]] = []
        self.tokens: list[str | None] = []
        self.obeys = True
        """False: it answers every order with 409 `stopping`."""
        self.silent = False
        self.page: str | None = None
        """Its answer to `/metrics`; None: it has no such route."""
        self._server: Server

    async def start(self, port: int = 0) -> Self:
        """Listen."""
        sockets = listen("127.0.0.1", port)
        self.port = int(sockets[0].getsockname()[1])
        self._server = Server(self, sockets)
        await self._server.start()
        return self

    async def leave(self) -> None:
        """Answer whatever has arrived, then listen no more: a process that exits in order."""
        await self._server.leave()

    async def stop(self) -> None:
        """Drop every connection and listen no more: a process that was killed."""
        self._server.abort()
        await self._server.stop_listening()
        self._server.abort()
        await self._server.leave(unfinished_seconds=0)

    def drop_connections(self) -> None:
        """End every connection at once, and go on listening."""
        self._server.abort()

    @property
    def url(self) -> str:
        """Its service URL."""
        return f"http://127.0.0.1:{self.port}"

    async def arrival(self, count: int = 1) -> Call:
        """Wait until so many calls have arrived; gives the last of them."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    def status(self) -> Status:
        """Give the answer of `/status`."""
        now = datetime.now(UTC)
        running = [RunningTask(task, now, 0.0) for task, view in self.tasks.items() if view["state"] == "running"]
        return Status(
            status=self.state, tasks=running, instance_id=self.instance_id, max_concurrency=4, drain=self.drain
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.tokens.append(headers.get("x-manager-token"))
        self.requests.append(f"{scope['method']} {scope['path']}")
        body = await read_body(receive, 64 << 20)
        if scope["path"] == "/execute":
            await self._execute(Call(self, scope, receive, send, body))
        elif self.silent:
            await asyncio.Event().wait()
        else:
            await self._answer(scope, send, body)

    async def _execute(self, call: Call) -> None:
        async with self.arrived:
            self.calls.append(call)
            self.arrived.notify_all()
        key = call.headers.get("idempotency-key")
        if key in self.keys:
            call.task_id = self.keys[key]
            await call.answer("the first result")
        elif self.state == "running":
            if key is not None:
                self.keys[key] = call.task_id
            await self.execute(call)
        else:
            await call.refuse(self.state)

    async def _answer(self, scope: Scope, send: Send, body: bytes) -> None:
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        if scope["path"] == "/metrics" and self.page is not None:
            await send_answer(send, 200, [OPEN_METRICS], self.page.encode())
            return
        try:
            if scope["path"] == "/logs" and query.get("follow") == "true":
                await self._follow(send, int(query.get("lines", "100")))
                return
            status, answer = self._said(scope["method"], scope["path"], query, body)
        except Problem as problem:
            await send_problem(send, problem)
        else:
            await send_answer(send, status, [JSON], msgspec.json.encode(answer))

    async def _follow(self, send: Send, lines: int) -> None:
        if self.log_problem is not None:
            raise self.log_problem
        await send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
        for line in self.log[-lines:]:
            piece = encode_event("line", msgspec.json.encode(line))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.followed_enough.wait()
        await send({"type": "http.response.body", "body": b""})

    def _said(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path.startswith("/tasks/"):
            return self._task(method, unquote(path.removeprefix("/tasks/")))
        if path == "/action":
            return 202, self._act(msgspec.json.decode(body))
        if path == "/drain":
            return 200, self._steer(method, body)
        answers: dict[str, Any] = {
            "/info": lambda: Info(self.agent_id, self.instance_id, version="1.0"),
            "/status": self.status,
            "/logs": lambda: {"lines": self.log[-int(query.get("lines", "100")) :]},
            "/tasks": lambda: {"tasks": self._listed(query)},
        }
        if path == "/logs" and self.log_problem is not None:
            raise self.log_problem
        if path not in answers:
            raise Problem("not-found", f"there is no {path}")
        return 200, answers[path]()

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        if "key" in query:
            return [{"taskId": self.keys[query["key"]], "state": "succeeded"}] if query["key"] in self.keys else []
        return [task for task in self.tasks.values() if query.get("state") in (None, task["state"])]

    def _task(self, method: str, task_id: str) -> tuple[int, Any]:
        if task_id not in self.tasks:
            raise Problem("unknown-task", f"no task {task_id!r}")
        if method == "DELETE":
            self.tasks[task_id]["state"] = "cancelled"
            return 202, self.tasks[task_id]
        return 200, self.tasks[task_id]

    def _act(self, order: dict[str, Any]) -> Status:
        self.actions.append(order)
        if not self.obeys:
            raise Problem("stopping", "it is stopping")
        verb = order["action"]
        if verb == "restart" and self.state == "stopping":
            pass  # the last word is to leave
        elif verb in ("stop", "restart"):
            self.state, self.drain = "stopping", Drain(reason=verb, safe_to_delete=True, blockers=[])
        else:
            self.state = "paused" if verb == "pause" else "running"
        return self.status()

    def _steer(self, method: str, body: bytes) -> Drain:
        if method == "GET":
            return self.drain or Drain(reason=None, safe_to_delete=True, blockers=[])
        if self.drain is None:
            raise Problem("not-draining", "no drain is under way")
        seconds = msgspec.json.decode(body)["timeoutSeconds"] if method == "PATCH" else None
        self.drained.append((method, seconds))
        if seconds is not None and seconds > 1000:
            raise Problem("over-grace", "the platform would kill first", maxTimeoutSeconds=1000)
        if method == "DELETE":
            self.state, self.drain = "running", None
        return self.drain or Drain(reason=None, safe_to_delete=True, blockers=[])


@asynccontextmanager
async def fake_adapter(agent_id: str, instance_id: str | None = None, port: int = 0) -> AsyncIterator[FakeAdapter]:
    """Give an adapter that listens, until the block ends."""
    adapter = await FakeAdapter(agent_id, instance_id).start(port)
    try:
        yield adapter
    finally:
        await adapter.stop()
