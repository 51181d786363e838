"""Asking instances themselves: all at once, within a bound of time, and what each said or why it said nothing."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from msgspec import Struct

from agent_manager.agent_client import AgentClient, CallError, ConnectFailed, Response
from agent_manager.agent_tokens import Headers, Proof
from agent_manager.records import Instance

ANSWER_SECONDS: Final = 2.0
"""How long an instance may take to say something of itself: a person waits, and one that hangs must not hold others."""
_AT_ONCE: Final = 64
"""Instances asked at the same time: a fleet of 500 is asked in eight rounds of a few milliseconds."""
_FIRST_ERROR: Final = 400

_ERROR: Final = msgspec.json.Decoder(dict[str, Any])


class Said(Struct, frozen=True):
    """What one instance said: a response, or, with `error`, the members of the problem in its place."""

    instance: Instance
    response: Response | None
    error: dict[str, Any] | None = None
    refused: bool = False
    """Nobody listens there: the process is gone."""
    asked_at: float = 0.0
    """Monotonic."""

    @property
    def ok(self) -> bool:
        """Whether it answered with a success."""
        return self.error is None and self.response is not None

    def read(self, kind: Any) -> Any:  # noqa: ANN401  # a type, and a value of it
        """Give the answer's decoded body, or None where there is none or it has another shape."""
        if self.response is None or self.error is not None:
            return None
        try:
            return msgspec.json.decode(self.response.body, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None


class Live:
    """Sends the manager's own requests to instances."""

    def __init__(
        self,
        client: AgentClient,
        proof: Proof,
        *,
        clock: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._client = client
        self._proof = proof
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def headers(self, instance: Instance) -> Headers:
        """Give the headers of the manager's own requests to an instance."""
        proof = self._proof(instance.agent_id, instance.origin)
        return [(b"accept", b"application/json"), (b"content-type", b"application/json"), *proof]

    async def ask(
        self,
        instance: Instance,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        timeout_seconds: float | None = None,
    ) -> Said:
        """Give what the instance said; nothing is raised, for one that is silent says nothing of the others."""
        asked_at, limit = self._clock(), timeout_seconds or self._answer_seconds
        try:
            response = await self._client.request(
                instance.origin, method, target, self.headers(instance), body, timeout_seconds=limit
            )
        except CallError as error:
            refused = isinstance(error, ConnectFailed) and error.refused
            return Said(instance, None, _members(str(error)), refused, asked_at)
        if response.status < _FIRST_ERROR:
            return Said(instance, response, asked_at=asked_at)
        return Said(instance, response, _problem_of(response), asked_at=asked_at)

    async def ask_all(
        self,
        instances: Iterable[Instance],
        method: str,
        target: str,
        body: bytes = b"",
        *,
        timeout_seconds: float | None = None,
    ) -> list[Said]:
        """Give what each instance said, in their order."""

        async def one(instance: Instance) -> Said:
            async with self._slots:
                return await self.ask(instance, method, target, body, timeout_seconds=timeout_seconds)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(instance)) for instance in instances]
        return [task.result() for task in tasks]


def _problem_of(response: Response) -> dict[str, Any]:
    """Give the members of an instance's problem, without those that its own status line says."""
    try:
        members = _ERROR.decode(response.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _members(f"it answered {response.status}")
    return {name: value for name, value in members.items() if name not in ("type", "title")}


def _members(detail: str) -> dict[str, Any]:
    problem = Problem("unavailable", detail)
    return {"status": problem.status, "detail": detail, "code": problem.code}
