"""A Kubernetes API server on a real socket: lists, watches, writes, and faults that a test orders.

It knows every namespaced resource by its path alone. What it holds is in `store`: each change has a new version, a
write of an older one is 409, a watch from before `store.compact()` is 410.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer
from agent_contract.serving import Server, listen
from agent_manager.cluster.api import ClusterApi, connect
from msgspec import Struct

from tests.manager.fake_api_store import Refused, Store, Thing, is_selected

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Request(Struct):
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    collection: str
    """The path of all objects of its kind in its namespace."""
    plural: str
    """The kind, as paths name it."""
    name: str
    """The object's; empty for all of them."""
    subresource: str
    """`scale`, `status`; empty for the object itself."""

    @property
    def verb(self) -> str:
        """As RBAC names it: `list`, `watch`, `get`, `create`, `update`, `patch`, `delete`."""
        return _VERBS.get(self.method) or ("get" if self.name else "watch" if "watch" in self.query else "list")


class Reply(Struct):
    """An answer; a body that is not bytes is sent as JSON."""

    status: int
    body: Any = None
    content_type: str = "application/json"
    retry_after: str | None = None


class Silence(Struct):
    """No answer, for as long as the client waits."""


class _Watch:
    """An open watch and what is to be written to it: None ends it in order, an exception breaks its connection."""

    def __init__(self, request: Request) -> None:
        self.collection = request.collection
        self.selector = request.query.get("labelSelector", "")
        self.lines: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def tell(self, kind: str, thing: Thing) -> None:
        """Write an event."""
        self.lines.put_nowait(json.dumps({"type": kind, "object": thing}).encode() + b"\n")


class FakeApiServer:
    """The server. `answer` says what becomes of a request; None from it: what an API server does."""

    def __init__(self) -> None:
        self.store = Store()
        self.store.on_change = self._changed
        self.answer: Callable[[Request], Reply | Silence | None] = lambda _: None
        self.requests: list[Request] = []
        self.expires_by_event = True
        """How a watch from too old a version ends: with an ERROR event, or else with status 410."""
        self.muted = False
        """True: open watches are told of nothing, not even of their end."""
        self._pages: dict[str, list[Thing]] = {}
        self._watches: set[_Watch] = set()
        self._changed_state = asyncio.Condition()
        self._port = 0

    async def start(self) -> Self:
        """Listen; after a stop at the same port again."""
        sockets = listen("127.0.0.1", self._port)
        self._port = sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._server = Server(self, sockets, keep_alive_seconds=60)
        await self._server.start()
        return self

    async def stop(self) -> None:
        """Drop every connection and listen no more."""
        self._server.abort()
        await self._server.leave(unfinished_seconds=0)

    def kubeconfig(self, folder: Path, namespace: str = "here", **user: Any) -> str:
        """Write a kubeconfig of it into a folder, for this user; gives its path."""
        path = folder / "kubeconfig"
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": user or {"token": "secret"}}],
        }
        path.write_text(json.dumps(config))
        return str(path)

    # --- what a test does ---------------------------------------------------------------------------------------------

    def bookmark(self) -> None:
        """Tell every watch of the present version."""
        for watch in self._watches:
            watch.tell("BOOKMARK", {"metadata": {"resourceVersion": str(self.store.version)}})

    def write(self, line: bytes, plural: str = "") -> None:
        """Write these bytes into every open watch, or into those of one kind."""
        for watch in self._watches:
            if watch.collection.endswith(plural):
                watch.lines.put_nowait(line)

    def close_watches(self, *, broken: bool = False) -> None:
        """End every open watch: in order, or by breaking its connection."""
        for watch in self._watches:
            watch.lines.put_nowait(ConnectionError("as the test wants it") if broken else None)

    def asked(self, verb: str, plural: str) -> list[Request]:
        """Give the requests of this kind."""
        return [request for request in self.requests if (request.verb, request.plural) == (verb, plural)]

    def watching(self, plural: str) -> int:
        """Give how many watches of this kind are open."""
        return sum(watch.collection.endswith(f"/{plural}") for watch in self._watches)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until this is true; it is looked at when a request arrives, and when a watch begins or ends."""
        async with self._changed_state, asyncio.timeout(10):
            await self._changed_state.wait_for(condition)

    # --- what it answers ----------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        request = _read(scope, await read_body(receive, 64 << 20))
        self.requests.append(request)
        await self._tell_state()
        reply = self.answer(request) or self._reply(request)
        if isinstance(reply, Reply):
            await _send(send, reply)
        elif isinstance(reply, Silence):
            await receive()
        else:
            await self._follow(request, receive, send)

    def _reply(self, request: Request) -> Reply | None:
        """Give the answer of an API server; None: a watch is to be followed."""
        try:
            if request.verb == "watch":
                return failure(410, "Expired") if self._is_expired(request) and not self.expires_by_event else None
            if request.subresource == "scale":
                return self._scale(request)
            return self._write_or_read(request)
        except Refused as error:
            return failure(error.status, error.reason, str(error))

    def _is_expired(self, request: Request) -> bool:
        return int(request.query.get("resourceVersion", "0")) < self.store.oldest

    def _write_or_read(self, request: Request) -> Reply:
        body = json.loads(request.body) if request.body else {}
        match request.verb:
            case "list":
                return self._list(request)
            case "create":
                return Reply(201, self.store.create(request.collection, body))
            case "update":
                self.store.get(request.collection, request.name)
                return Reply(200, self.store.put(request.collection, body))
            case "patch":
                return Reply(200, self.store.patch(request.collection, request.name, body))
            case "delete":
                return Reply(200, self.store.delete(request.collection, request.name))
        return Reply(200, self.store.get(request.collection, request.name))

    def _scale(self, request: Request) -> Reply:
        if request.verb != "get":
            spec = json.loads(request.body)["spec"]
            self.store.patch(request.collection, request.name, {"spec": {"replicas": spec["replicas"]}})
        thing = self.store.get(request.collection, request.name)
        replicas = {"replicas": thing["spec"].get("replicas", 1)}
        return Reply(200, {"kind": "Scale", "metadata": thing["metadata"], "spec": replicas, "status": replicas})

    def _list(self, request: Request) -> Reply:
        """Give a page; all pages of a list are of one version, and that may be forgotten meanwhile."""
        token = request.query.get("continue")
        if token is None:
            version = self.store.version
            things = self.store.list(request.collection, request.query.get("labelSelector", ""))
        else:
            version, things = int(token.partition(":")[0]), self._pages.pop(token)
            if version < self.store.oldest:
                return failure(410, "Expired", "the provided continue parameter is too old")
        limit = int(request.query.get("limit", "0")) or len(things) or 1
        metadata: Thing = {"resourceVersion": str(version)}
        if things[limit:]:
            metadata["continue"] = f"{version}:{len(self.requests)}="
            self._pages[metadata["continue"]] = things[limit:]
        return Reply(200, {"kind": "List", "metadata": metadata, "items": things[:limit]})

    async def _follow(self, request: Request, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        watch = _Watch(request)
        since = int(request.query.get("resourceVersion", "0"))
        if self._is_expired(request):
            watch.tell("ERROR", failure(410, "Expired", f"too old resource version: {since}").body)
            watch.lines.put_nowait(None)
        for version, collection, kind, thing in self.store.log:
            if version > since and collection == watch.collection and is_selected(thing, watch.selector):
                watch.tell(kind, thing)
        self._watches.add(watch)
        left = asyncio.ensure_future(receive())
        left.add_done_callback(lambda _: watch.lines.put_nowait(None))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._tell_state()
            while (line := await watch.lines.get()) is not None:
                if isinstance(line, Exception):
                    raise line
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            self._watches.discard(watch)
            await self._tell_state()

    def _changed(self, collection: str, kind: str, thing: Thing) -> None:
        for watch in self._watches:
            if not self.muted and watch.collection == collection and is_selected(thing, watch.selector):
                watch.tell(kind, thing)

    async def _tell_state(self) -> None:
        async with self._changed_state:
            self._changed_state.notify_all()


def failure(status: int, reason: str, message: str = "as the test wants it", retry_after: str | None = None) -> Reply:
    """Give an error as the API server answers it."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
    return Reply(status, body, retry_after=retry_after)


@asynccontextmanager
async def fake_api_server() -> AsyncIterator[FakeApiServer]:
    """Give a server that listens, until the block ends."""
    server = await FakeApiServer().start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connected(server: FakeApiServer, folder: Path) -> AsyncIterator[ClusterApi]:
    """Give the product's client of a server, until the block ends; its own namespace is `here`."""
    api = await connect(kubeconfig=server.kubeconfig(folder))
    try:
        yield api
    finally:
        await api.close()


def _read(scope: Scope, body: bytes) -> Request:
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(scope["query_string"].decode()))
    head, found, tail = scope["path"].partition("/namespaces/")
    namespace, plural, name, subresource = [*tail.split("/"), "", "", ""][:4] if found else ("", head, "", "")
    collection = f"{head}/namespaces/{namespace}/{plural}" if found else head
    return Request(scope["method"], scope["path"], query, headers, body, collection, plural, name, subresource)


async def _send(send: Send, reply: Reply) -> None:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    headers = [(b"content-type", reply.content_type.encode())]
    if reply.retry_after is not None:
        headers.append((b"retry-after", reply.retry_after.encode()))
    await send_answer(send, reply.status, headers, body)
