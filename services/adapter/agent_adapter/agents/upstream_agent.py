"""An agent that is an HTTP service beside the adapter: it answers `POST /execute` by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from agent_contract.problems import Problem
from agent_contract.sse import Event, EventParser, EventTooLarge
from agent_contract.wire import ProblemState
from msgspec import UNSET, Raw, UnsetType

from agent_adapter.agents.agent import Emit
from agent_adapter.agents.context import Context
from agent_adapter.agents.encoding import MAX_RESULT_BYTES, checked
from agent_adapter.agents.parameters import JsonSchema, Parameters, Unchecked
from agent_adapter.errors import Rejected
from agent_adapter.http_client import AnswerTooLong, CallBroken, ConnectFailed, HttpClient, OpenAnswer

_START_POLL_SECONDS: Final = 0.1
_WATCH_SECONDS: Final = 1.0
"""How often it is looked whether the upstream still accepts connections."""
_PROBLEM_BYTES: Final = 64 * 1024
_BUSY: Final = (429, 503)
_CALLERS_MISTAKE: Final = (400, 422)

log = structlog.stdlib.get_logger(__name__)


class _Result(msgspec.Struct):
    result: Raw | UnsetType = UNSET


class UpstreamAgent:
    """Passes tasks on to an HTTP service and its answers back; streams when the caller does."""

    streams = True
    cancels = True

    def __init__(
        self, url: str, client: HttpClient, on_change: Callable[[], None], schema: dict[str, Any] | None = None
    ) -> None:
        self._url = url.rstrip("/")
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        self._client = client
        self._on_change = on_change
        self._parameters: Parameters = JsonSchema(schema) if schema is not None else Unchecked()
        self._watcher: asyncio.Task[None] | None = None
        self.problem: ProblemState | None = None

    @property
    def parameters_schema(self) -> dict[str, Any] | None:
        """The configuration's schema."""
        return self._parameters.schema

    async def start(self) -> None:
        """Wait until the upstream accepts a connection, however long that takes."""
        while not await self._accepts():
            self._say("the upstream does not accept connections yet")
            await asyncio.sleep(_START_POLL_SECONDS)
        self._say(None)
        self._watcher = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching; the upstream lives its own life."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await self._client.close()

    def accept(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # as they came
        """Check the parameters against the configuration's schema; raises Rejected."""
        return self._parameters.accept(parameters)

    async def run(self, parameters: Any, context: Context, emit: Emit) -> bytes:  # noqa: ANN401  # what accept gave
        """Give the upstream's result; raises Rejected, or Problem `upstream-busy`, `-failed` or `-unreachable`."""
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if context.streaming else "application/json",
            "x-task-id": context.task_id,
        }
        headers |= context.trace.texts
        body = msgspec.json.encode({"parameters": parameters})
        try:
            async with self._client.stream(
                "POST", f"{self._url}/execute", headers=headers, body=body, timeout_seconds=None
            ) as answer:
                return await self._result(answer, emit)
        except AnswerTooLong as error:
            raise Problem("result-too-large", f"the result has more than {MAX_RESULT_BYTES} bytes") from error
        except ConnectFailed as error:
            self._say(str(error))
            raise Problem("upstream-unreachable", str(error), headers={"Retry-After": "1"}, started=False) from error
        except CallBroken as error:
            raise Problem("upstream-failed", str(error), upstreamStatus=None) from error

    async def _result(self, answer: OpenAnswer, emit: Emit) -> bytes:
        if answer.status >= 400:  # noqa: PLR2004  # where HTTP's errors begin
            raise _failure(answer, await _problem_of(answer))
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return await _relay(answer, emit)
        return _result_of(await answer.read(2 * MAX_RESULT_BYTES), answer.status)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            self._say(None if await self._accepts() else f"{self._url} does not accept connections")

    async def _accepts(self) -> bool:
        try:
            async with asyncio.timeout(_WATCH_SECONDS):
                _, writer = await asyncio.open_connection(*self._address)
        except (OSError, TimeoutError):
            return False
        writer.transport.abort()
        return True

    def _say(self, detail: str | None) -> None:
        if (detail is None) == (self.problem is None):
            return
        self.problem = ProblemState("upstream-unreachable", detail, datetime.now(UTC)) if detail else None
        log.warning("upstream unreachable", detail=detail) if detail else log.info("upstream reachable", url=self._url)
        self._on_change()


async def _relay(answer: OpenAnswer, emit: Emit) -> bytes:
    async for event in _events(answer):
        if event.event == "chunk":
            await emit(_json(event.data.encode(), answer.status))
        elif event.event == "result":
            return _result_of(event.data.encode(), answer.status)
        elif event.event == "error":
            raise Problem("upstream-failed", f"the upstream's stream ended with {event.data[:500]}", upstreamStatus=200)
    return b""


async def _events(answer: OpenAnswer) -> AsyncIterator[Event]:
    parser = EventParser()
    async for data in answer.chunks():
        try:
            events = parser.feed(data)
        except EventTooLarge as error:
            raise Problem("upstream-failed", str(error), upstreamStatus=answer.status) from error
        for event in events:
            yield event


async def _problem_of(answer: OpenAnswer) -> bytes:
    """Give the body of an error; one that does not end is no reason to lose the status."""
    try:
        return await answer.read(_PROBLEM_BYTES)
    except CallBroken:
        return b""


def _json(text: bytes, status: int) -> bytes:
    """Give the text back; raises Problem `upstream-failed` when it is not JSON."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = f"the upstream's answer is not JSON: {error}"
        raise Problem("upstream-failed", detail, upstreamStatus=status) from error
    return text


def _result_of(body: bytes, status: int) -> bytes:
    try:
        result = msgspec.json.decode(_json(body, status), type=_Result).result
    except msgspec.ValidationError:
        return checked(body)
    return checked(body if isinstance(result, UnsetType) else bytes(result))


def _failure(answer: OpenAnswer, body: bytes) -> Exception:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    problem = said if isinstance(said, dict) else {}
    detail = str(problem.get("detail") or body[:500].decode(errors="replace") or f"status {answer.status}")
    if answer.status in _CALLERS_MISTAKE:
        field = problem.get("field")
        return Rejected(detail, field if isinstance(field, str) else None)
    if answer.status in _BUSY:
        after = answer.headers.get("retry-after", "")
        return Problem("upstream-busy", detail, headers={"Retry-After": after if after.isascii() and after else "1"})
    return Problem("upstream-failed", f"the upstream answered {answer.status}: {detail}", upstreamStatus=answer.status)
