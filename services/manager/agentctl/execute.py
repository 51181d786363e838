"""`agentctl execute`: standard output holds the result alone, everything said about it goes to standard error."""

import sys
from typing import Any, Final
from urllib.parse import quote

import click
import msgspec
from agent_contract.identity import new_id
from agent_contract.readable import harmless

from agentctl.answers import failure_of
from agentctl.arguments import AGENT_ID
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed, Exit, ManagerAway
from agentctl.output import json_text
from agentctl.parameters import read_parameters
from agentctl.progress import shown_progress
from agentctl.terminal import note, put, say
from agentctl.watch import FLEET

_ANY_STATUS: Final = 500


class _Problem(msgspec.Struct):
    status: int = _ANY_STATUS


@click.command()
@click.argument("agent_id", metavar="ID", type=AGENT_ID)
@click.option("-p", "pairs", multiple=True, metavar="NAME=TEXT|NAME:=JSON", help="A parameter; may be repeated.")
@click.option("-f", "file", type=click.Path(allow_dash=True), metavar="FILE|-", help="The parameters as a JSON object.")
@click.option("--stream", is_flag=True, help="Print each chunk as it comes: text as it is, else a JSON value a line.")
@click.option("--async", "detached", is_flag=True, help="Print the task's id and do not wait for the result.")
@talks_to_manager
def execute(
    manager: Manager, agent_id: str, pairs: tuple[str, ...], file: str | None, *, stream: bool, detached: bool
) -> None:
    """Have agent ID do something and print the result."""
    if stream and detached:
        raise click.UsageError("--stream and --async exclude one another")
    body = {"parameters": read_parameters(pairs, file)}
    if detached:
        _detached(manager, agent_id, body)
    elif stream:
        _streamed(manager, agent_id, body)
    else:
        _awaited(manager, agent_id, body)


def _awaited(manager: Manager, agent_id: str, body: dict[str, Any]) -> None:
    key = new_id() if sys.stderr.isatty() else None  # by its key the task can be found while its call is under way
    headers = {"Idempotency-Key": key} if key else {}
    try:
        with shown_progress(manager, agent_id, key) as known:
            answer = manager.send("POST", _path(agent_id), body=body, headers=headers, answer_seconds=None)
    except ManagerAway as away:
        raise _unknown(away, agent_id) from away
    except KeyboardInterrupt:
        which = (
            f"agentctl cancel {known[0]}" if known else f"agentctl get tasks --agent {agent_id}, then agentctl cancel"
        )
        note(f"interrupted: the task goes on; {which} ends it")
        raise
    outcome = answer.json()
    if not isinstance(outcome, dict) or "result" not in outcome:
        raise CommandFailed(f"cannot read the answer of {agent_id}: it has no result")
    _print_result(outcome["result"])


def _detached(manager: Manager, agent_id: str, body: dict[str, Any]) -> None:
    try:
        answer = manager.send(
            "POST", _path(agent_id), body=body, headers={"Prefer": "respond-async"}, answer_seconds=None
        )
    except ManagerAway as away:
        raise _unknown(away, agent_id) from away
    task_id = str(answer.json().get("taskId"))
    say(harmless(task_id))
    if sys.stderr.isatty():
        note(f"agentctl describe task {task_id} tells how it is; agentctl cancel {task_id} ends it")


def _streamed(manager: Manager, agent_id: str, body: dict[str, Any]) -> None:
    chunks = _Chunks()
    try:
        for event in manager.stream("POST", _path(agent_id), body=body):
            if event.event == "chunk":
                chunks.write(msgspec.json.decode(event.data))
            elif event.event == "error":
                chunks.end()
                raise _failure(event.data, manager.name)
            elif event.event == "result":
                if not chunks.any:
                    _print_result(msgspec.json.decode(event.data).get("result"))
                chunks.end()
                return
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"cannot read the stream of {agent_id}: {error}") from error
    except ManagerAway as away:
        chunks.end()
        raise _unknown(away, agent_id) from away
    chunks.end()
    raise CommandFailed(f"the stream of {agent_id} ended before its result", Exit.UNREACHABLE)


class _Chunks:
    """Writes chunks one after the other, so that text reads as text and other values are a line each."""

    def __init__(self) -> None:
        self.any = False
        self._open_line = False

    def write(self, chunk: Any) -> None:  # noqa: ANN401  # any JSON value
        """Write one chunk, at once."""
        self.any = True
        if isinstance(chunk, str):
            put(_shown(chunk))
            self._open_line = bool(chunk) and not chunk.endswith("\n")
        else:
            self.end()
            say(json_text(chunk, indent=None))

    def end(self) -> None:
        """End a line that text left open."""
        if self._open_line:
            put("\n")
        self._open_line = False


def _print_result(result: Any) -> None:  # noqa: ANN401  # any JSON value
    say(_shown(result) if isinstance(result, str) else json_text(result))


def _shown(text: str) -> str:
    """Give text for a terminal without what would steer it; a pipe or a file gets it as it is."""
    return harmless(text) if sys.stdout.isatty() else text


def _failure(data: str, url: str) -> CommandFailed:
    content = data.encode()
    return failure_of(msgspec.json.decode(content, type=_Problem).status, content, url)


def _unknown(away: ManagerAway, agent_id: str) -> CommandFailed:
    if not away.asked:
        return away
    advice = f"the task may run or have run: agentctl get tasks --agent {agent_id} shows it"
    return CommandFailed(f"{away}; {advice}", Exit.UNREACHABLE)


def _path(agent_id: str) -> str:
    return f"{FLEET}/{quote(agent_id, safe='')}/execute"
