"""An answer that is no success, as one line and an exit code: what happened, to what, and what to do."""

from collections.abc import Mapping
from typing import Final

import msgspec

from agentctl.failures import CommandFailed, Exit, ManagerAway
from agentctl.program import as_typed
from agentctl.terminal import one_line

_GATEWAY: Final = frozenset({502, 503, 504})
_EXIT_OF_STATUS: Final[Mapping[int, Exit]] = {404: Exit.NOT_FOUND, 409: Exit.CONFLICT}
_EXIT_OF_CODE: Final[Mapping[str, Exit]] = {"unavailable": Exit.UNREACHABLE}
_ADVICE: Final[Mapping[str, str]] = {
    "unauthenticated": "set AGENT_MANAGER_API_KEY or AGENT_MANAGER_API_KEY_FILE to a key that it knows",
    "forbidden": "use a key with a higher role",
    "unknown-agent": "agentctl get agents lists those that it knows",
    "unknown-task": "agentctl get tasks lists those that it knows",
    "paused": "agentctl resume lets it work again",
    "stopping": "try again when it is back",
    "starting": "try again in a moment",
    "at-capacity": "try again later, or raise its maxQueue",
    "no-leader": "try again in a moment: its managers are choosing one",
    "unavailable": "agentctl get agents says how its instances are",
    "outcome-unknown": "it may have run: agentctl get tasks shows it if so",
    "drain-timeout": "the drain's deadline cut it: give the agent a longer drainTimeoutSeconds",
    "task-timeout": "give the agent a longer taskTimeoutSeconds",
    "agent-failed": "agentctl logs has its traceback",
    "agent-crashed": "agentctl logs has its last words",
}


class ProblemBody(msgspec.Struct, frozen=True, rename="camel"):
    """The members of a problem (RFC 9457) that matter here: what people are told, and what became of the work."""

    code: str | None = None
    detail: str | None = None
    title: str | None = None
    field: str | None = None
    task_id: str | None = None
    started: bool | None = None
    outcome: str | None = None


def failure_of(status: int, content: bytes, url: str) -> CommandFailed:
    """Give the failure that an answer means; one that is no problem document comes from something in between."""
    try:
        problem = msgspec.json.decode(content, type=ProblemBody)
    except msgspec.MsgspecError:
        problem = ProblemBody()
    if problem.code is None:
        return _foreign(status, url)
    exit_code = _EXIT_OF_CODE.get(problem.code) or _EXIT_OF_STATUS.get(status, Exit.FAILED)
    told = describe(problem)
    return CommandFailed(told, exit_code, code=problem.code, started=problem.started, outcome=problem.outcome)


def describe(problem: ProblemBody) -> str:
    """Give a problem as one line: `no agent 'x' (unknown-agent): agentctl get agents lists those that it knows`."""
    detail = problem.detail or problem.title or "it failed"
    where = f"{problem.field}: " if problem.field and problem.field not in detail else ""
    named = [word for word in (problem.code, problem.task_id and f"task {problem.task_id}") if word]
    advice = as_typed(_ADVICE.get(problem.code or "", ""))
    return one_line(f"{where}{detail} ({', '.join(named)})" + (f": {advice}" if advice else ""))


def _foreign(status: int, url: str) -> CommandFailed:
    message = f"unexpected answer {status} from {url}: is an agent manager there?"
    if status in _GATEWAY:
        return ManagerAway(message, asked=True)
    return CommandFailed(message, _EXIT_OF_STATUS.get(status, Exit.FAILED))
