"""Run as a program: the child process of `isolation: "process"`, one Python agent behind JSON lines.

The adapter writes tasks to its stdin and reads answers from its stdout. Nothing else may touch these two: before the
agent's code is loaded they are taken away, and what it prints goes to the log. The imports are few: no HTTP here.
"""

import argparse
import asyncio
import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec
import uvloop
from agent_contract.problems import Problem
from agent_contract.tracing import continuing
from agent_contract.tracing.loading import load_in_child
from msgspec import UNSET, Raw, UnsetType

from agent_adapter.agents.json_lines import FromWorker, Ready, ToChild
from agent_adapter.agents.python_agent import PythonAgent
from agent_adapter.agents.worker_logs import STDERR, TASK, configure, write_all
from agent_adapter.agents.worker_task import WorkerTask
from agent_adapter.errors import Rejected

_LONGEST_LINE: Final = 1 << 32
"""No limit: what the adapter takes (`maxBodyBytes`) is the limit."""
_ENDING_SECONDS: Final = 0.4
"""What cut tasks may take to clean up, of the second that the adapter gives between stdin's end and SIGTERM."""

_LAST_SPANS_SECONDS: Final = 0.3
"""The same for the last spans."""

log = logging.getLogger(__name__)


class IsolatedAgent(PythonAgent):
    """Python code in a process of its own: a cancelled thread has ended only when its code returned."""

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  # the agent's own
        loop, began, returned = asyncio.get_running_loop(), threading.Event(), asyncio.Event()

        def watched(*given: Any) -> Any:  # noqa: ANN401  # the agent's own
            began.set()
            try:
                return function(*given)
            finally:
                loop.call_soon_threadsafe(returned.set)

        try:
            return await super()._in_thread(watched, *arguments)
        except asyncio.CancelledError:
            if began.is_set():
                await returned.wait()
            raise


class Worker:
    """Runs the tasks that come in, until there are no more."""

    def __init__(self, agent: PythonAgent, wire: "Wire", *, checked: bool) -> None:
        self._agent = agent
        self._send = wire.send
        self._input = wire.input
        self._checked = checked
        self._tasks: dict[str, WorkerTask] = {}
        self._telling: set[asyncio.Future[None]] = set()
        self._decoder = msgspec.json.Decoder(ToChild)

    async def live(self) -> int:
        """Start the agent, serve until stdin ends, close the agent; gives the exit code."""
        reader = await _reader(self._input)
        starting = asyncio.ensure_future(self._agent.start())
        first = asyncio.ensure_future(reader.readline())
        await asyncio.wait({starting, first}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return 0  # nothing is said before `ready`: stdin has ended
        try:
            starting.result()
        except Exception as error:  # a class may raise anything as it starts
            log.error("cannot start", exc_info=error.__cause__ or error)  # noqa: TRY400  # its cause is what matters
            self._send(FromWorker(failed=str(error)))
            return 1
        self._send(FromWorker(ready=Ready(self._agent.parameters_schema, self._agent.streams)))
        line = await first
        while line:
            self._told(self._decoder.decode(line))
            line = await reader.readline()
        await self._end()
        return 0

    def _told(self, asked: ToChild) -> None:
        if not isinstance(asked.metrics, UnsetType):
            telling = asyncio.ensure_future(self._tell_metrics(asked.metrics))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        elif asked.parameters is not UNSET:
            task = self._tasks[asked.task_id] = WorkerTask(asked, self._send, asyncio.get_running_loop())
            task.running = asyncio.create_task(self._run(task, asked.parameters))
            task.running.add_done_callback(lambda _: self._forget(task))
        elif (known := self._tasks.get(asked.task_id)) is not None:
            known.told(asked)
            if asked.cancel:
                self._cancel(known)

    async def _tell_metrics(self, accept: str) -> None:
        """Say what the agent's code registered; nothing is loaded for an agent that registers nothing."""
        page = b""
        if "prometheus_client" in sys.modules:
            from agent_adapter.metrics.registered import leave_out_defaults, registered  # noqa: PLC0415  # as said

            leave_out_defaults()
            try:
                page = await asyncio.to_thread(registered, accept)
            except Exception:
                log.exception("collecting the agent's metrics failed")
        self._send(FromWorker(metrics=page.decode()))

    def _cancel(self, task: WorkerTask) -> None:
        """Cancel a task. What does not end is ended with the process, but not where others would go with it."""
        task.cancel()
        if any(not other.has_ended for other in self._tasks.values() if other is not task):
            task.end(_cancelled(task, "left to end by itself"))

    def _forget(self, task: WorkerTask) -> None:
        """Let a task go: also one that was cancelled before its first step, whose code never ran."""
        del self._tasks[task.task_id]
        task.end(_cancelled(task, "cancelled"))

    async def _run(self, task: WorkerTask, parameters: Any) -> None:  # noqa: ANN401  # any JSON value
        TASK.set(task.task_id)
        task.end(await self._outcome(task, parameters))

    async def _outcome(self, task: WorkerTask, parameters: Any) -> FromWorker:  # noqa: ANN401  # any JSON value
        try:
            accepted = parameters if self._checked else self._agent.accept(parameters)
            with continuing(task.context.trace):
                result = await self._agent.run(accepted, task.context, task.emit)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # agent code may raise anything, SystemExit too
            return FromWorker(task.task_id, error=_members(error))
        return FromWorker(task.task_id, result=Raw(result or b"null"), streamed=not result)

    async def _end(self) -> None:
        """Cancel what still runs, for nobody waits for it, and run the agent's `close()`."""
        running = [task.running for task in self._tasks.values() if task.running is not None]
        for task in list(self._tasks.values()):
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_ENDING_SECONDS)
        try:
            await self._agent.close()
        except Exception:
            log.exception("closing the agent failed")


class Wire:
    """The two files of the protocol, taken from stdin and stdout so that agent code cannot reach them."""

    def __init__(self) -> None:
        self.input = os.dup(0)
        self._output = os.dup(1)
        os.dup2(STDERR, 1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._writing = threading.Lock()

    def send(self, message: FromWorker) -> None:
        """Write a line, from any thread; when nobody reads any more the process ends."""
        line = msgspec.json.encode(message) + b"\n"
        try:
            with self._writing:
                write_all(self._output, line)
        except BrokenPipeError:
            os._exit(1)


async def _reader(file: int) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_LONGEST_LINE)
    pipe = os.fdopen(file, "rb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _cancelled(task: WorkerTask, message: str) -> FromWorker:
    return FromWorker(task.task_id, error={"type": "CancelledError", "message": message})


def _members(error: BaseException) -> Mapping[str, Any]:
    if isinstance(error, Rejected):
        return {"type": "BadParameters", "message": error.detail, "field": error.field}
    if isinstance(error, Problem):
        return {"code": error.code, "message": error.detail}
    log.error("agent code raised", exc_info=error)
    return {"type": type(error).__name__, "message": str(error)}


def main() -> NoReturn:
    """Be the worker: exits 0 when stdin ends, 1 when the agent cannot be started."""
    parser = argparse.ArgumentParser(prog="agent-adapter-worker")
    parser.add_argument("entry_point")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--checked", action="store_true")
    line = parser.parse_args()
    wire = Wire()
    configure(line.log_level)
    tracing = load_in_child(os.environ, install="agent-adapter[otel]")
    agent = IsolatedAgent(line.entry_point, threads=line.threads)
    loop = uvloop.new_event_loop()  # the adapter's own: the two ways to run an agent differ in nothing else
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(Worker(agent, wire, checked=line.checked).live())
    atexit._run_exitfuncs()  # noqa: SLF001  # the only way to run them before os._exit
    tracing.close(_LAST_SPANS_SECONDS)
    os._exit(code)  # without the interpreter's teardown, and without waiting for threads that nobody needs


if __name__ == "__main__":
    main()
