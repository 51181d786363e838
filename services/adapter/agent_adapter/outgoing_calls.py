"""Calls from agent code to another agent, through the manager."""

import asyncio
import time
from typing import Any

import msgspec
from agent_contract.identity import is_agent_id
from agent_contract.tracing import Span, TraceContext, current_context

from agent_adapter.credentials import ManagerTokens
from agent_adapter.errors import AgentError
from agent_adapter.http_client import Answer, CallFailed, ConnectFailed, HttpClient


class OutgoingCalls:
    """Reaches other agents at the manager's address, with this adapter's token."""

    def __init__(self, manager_url: str | None, client: HttpClient, tokens: ManagerTokens, *, agent_id: str) -> None:
        self.base = None if manager_url is None else f"{manager_url.rstrip('/')}/api/agent-services"
        self.client = client
        self._agent_id = agent_id
        self._tokens = tokens

    def of_task(self, task_id: str, deadline_at: float | None, span: Span) -> "TaskCalls":
        """Give the calls of one task: they say who called, carry its trace, and end with its deadline."""
        return TaskCalls(self, task_id, deadline_at, span)

    def headers(self, task_id: str, trace: TraceContext, idempotency_key: str | None) -> dict[str, str]:
        """Give the headers of a call that a task makes."""
        headers = {"content-type": "application/json", "x-agent-caller": f"agent/{self._agent_id}/{task_id}"}
        headers |= trace.texts | self._tokens.headers
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return headers


class TaskCalls:
    """The calls of one task."""

    def __init__(self, calls: OutgoingCalls, task_id: str, deadline_at: float | None, span: Span) -> None:
        self._calls = calls
        self._task_id = task_id
        self._deadline_at = deadline_at
        self._span = span

    async def __call__(
        self,
        agent_id: str,
        parameters: dict[str, Any],
        *,
        timeout: float | None,  # noqa: ASYNC109  # the agent author's own bound, in seconds
        idempotency_key: str | None,
    ) -> Any:  # noqa: ANN401  # any JSON value
        """Give the other agent's result; raises AgentError."""
        if self._calls.base is None:
            raise AgentError("unavailable", f"cannot call {agent_id}: no manager is configured", started=False)
        if not is_agent_id(agent_id):
            raise AgentError("unknown-agent", f"{agent_id!r} is not an agent id", started=False)
        url = f"{self._calls.base}/{agent_id}/execute"
        trace = current_context() or self._span.context  # of a span that agent code began itself, if it did
        headers = self._calls.headers(self._task_id, trace, idempotency_key)
        body = msgspec.json.encode({"parameters": parameters})
        try:
            async with asyncio.timeout(self._seconds(timeout)):
                async with self._calls.client.stream(
                    "POST", url, headers=headers, body=body, timeout_seconds=None
                ) as opened:
                    answer = Answer(opened.status, opened.headers, await opened.read())
        except TimeoutError as error:
            raise AgentError("task-timeout", f"{agent_id} did not answer in time", outcome="unknown") from error
        except ConnectFailed as error:
            raise AgentError("unavailable", str(error), started=False) from error
        except CallFailed as error:
            raise AgentError("outcome-unknown", str(error), outcome="unknown") from error
        return _result(agent_id, answer)

    def _seconds(self, timeout: float | None) -> float | None:
        left = None if self._deadline_at is None else self._deadline_at - time.monotonic()
        bounds = [seconds for seconds in (timeout, left) if seconds is not None]
        return max(0.0, min(bounds)) if bounds else None


def _result(agent_id: str, answer: Answer) -> Any:  # noqa: ANN401  # any JSON value
    said = answer.json()
    members: dict[str, Any] = said if isinstance(said, dict) else {}
    if answer.status == 200 and "result" in members:  # noqa: PLR2004  # success
        return members["result"]
    raise AgentError(
        str(members.get("code", "bad-answer")),
        f"{agent_id}: {members.get('detail', 'no problem was given')}",
        status=answer.status,
        started=members.get("started"),
        outcome=members.get("outcome"),
    )
