"""What a person sees while a call is under way: how long it runs and what its agent reports."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from agent_contract.durations import format_duration

from agentctl.client import Manager
from agentctl.failures import CommandFailed
from agentctl.rows import progress
from agentctl.status_line import StatusLine
from agentctl.views import Task, members, read
from agentctl.watch import FLEET

_FIRST_SECONDS: Final = 1.0
"""A call that is over before says nothing."""


@contextlib.contextmanager
def shown_progress(manager: Manager, agent_id: str, key: str | None) -> Iterator[list[str]]:
    """Show on the terminal how the call with this idempotency key goes, until the block ends.

    Gives a list that holds the task's id once it is known. Without a key nothing is shown.
    """
    known: list[str] = []
    if key is None:
        yield known
        return
    ended = threading.Event()
    watcher = threading.Thread(target=_show, args=(manager, agent_id, key, ended, known), daemon=True)
    watcher.start()
    try:
        yield known
    finally:
        ended.set()
        watcher.join()


def _show(manager: Manager, agent_id: str, key: str, ended: threading.Event, known: list[str]) -> None:
    began = time.monotonic()
    line = StatusLine()
    while not ended.wait(_FIRST_SECONDS):
        task = _task(manager, agent_id, key)
        if task is not None and not known:
            known.append(task.task_id)
        parts = [agent_id, format_duration(time.monotonic() - began)]
        if task is not None:
            parts += [task.state or "", "" if task.progress is None else progress(task.progress)]
        line.show(" ".join(part for part in parts if part))
    line.clear()


def _task(manager: Manager, agent_id: str, key: str) -> Task | None:
    """Give the task that runs under the key; None while it is not known, or its manager does not say."""
    try:
        found: list[Any] = members(manager.get(f"{FLEET}/{agent_id}/tasks", key=key), "tasks")
        return read(found[0], Task) if len(found) == 1 else None
    except CommandFailed:
        return None
