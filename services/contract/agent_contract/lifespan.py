"""The application's own start and end (ASGI lifespan protocol)."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from agent_contract.asgi import App

Message = MutableMapping[str, Any]


class StartFailed(Exception):  # noqa: N818  # what happened
    """The application did not start; the message says why, and its own error is the cause where it raised one."""


class EndFailed(Exception):  # noqa: N818  # what happened
    """The application did not end in order; as with `StartFailed`."""


class Lifespan:
    """One life of an application. `state` is what it may leave there for its requests' scopes."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._orders: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Let the application start; raises StartFailed, also when it does not speak the protocol."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(self._app(scope, self._orders.get, self._send))
        try:
            await self._ask(self._task, "startup")
        except EndFailed as error:
            raise StartFailed(f"cannot start: {error}") from error.__cause__

    async def end(self) -> None:
        """Let the application end, once; raises EndFailed."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            await self._ask(task, "shutdown")
            await asyncio.wait([task])

    async def _ask(self, task: "asyncio.Task[None]", what: str) -> None:
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._orders.put_nowait({"type": f"lifespan.{what}"})
        await asyncio.wait([answer, task], return_when=asyncio.FIRST_COMPLETED)
        error = None if not task.done() or task.cancelled() else task.exception()
        if not answer.done():
            answer.cancel()
            raise EndFailed(f"the application left its {what} unanswered: {error!r}") from error
        if answer.result()["type"] != f"lifespan.{what}.complete":
            said = str(answer.result().get("message", "")).strip()
            raise EndFailed(said.splitlines()[-1] if said else f"the application's {what} failed") from error

    async def _send(self, message: Message) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
