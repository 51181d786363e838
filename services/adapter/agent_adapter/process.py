"""From the settings to the exit code: what happens around one life, and the exec that begins the next."""

import asyncio
import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import structlog
from agent_contract import logs
from agent_contract.loading import ConfigurationError
from agent_contract.loopback import is_loopback
from agent_contract.serving import CannotListen, inherited, listen, new_event_loop
from agent_contract.tls import Tls, load_tls
from agent_contract.tracing import Tracing
from agent_contract.tracing import load as load_tracing
from agent_contract.tracing.loading import HEADERS
from msgspec import UNSET
from msgspec.structs import replace

from agent_adapter.composition import Instance, enter_environment
from agent_adapter.config import AdapterSettings, CommandLine, load
from agent_adapter.identity import Identity
from agent_adapter.printing import print_to_log
from agent_adapter.signals import Signals
from agent_adapter.supervisor import Ending

SOCKET_VARIABLE: Final = "_AGENT_ADAPTER_SOCKET"
"""Carries the listening sockets over a restart's exec, so that callers wait in the backlog instead of being refused."""
_USAGE: Final = 2
_THREADS: Final = 8
"""For the adapter's own blocking work: the manager's name, log tails."""
_LINGER_SECONDS: Final = 0.05
"""How long agent threads may take to notice that the process ends; then it ends without them."""
_LAST_STEPS_SECONDS: Final = 1.0
"""For exit handlers and log lines that nobody reads: neither a hung handler nor a full pipe may hold the process."""
_LAST_SPANS_SECONDS: Final = 0.7
"""Of that, for the last spans: a collector that does not answer costs them, not the exit."""

log = structlog.stdlib.get_logger("agent_adapter")


@dataclass(frozen=True, slots=True)
class _End:
    """How a life ended."""

    ending: Ending
    failure: str | None
    sockets: list[int]
    leave_by: float
    tracing: Tracing

    def send_last_spans(self) -> None:
        """Send what was recorded, exit handlers included; bounded."""
        self.tracing.close(_LAST_SPANS_SECONDS)


def run(line: Mapping[str, Any], original: dict[str, str], signals: Signals) -> NoReturn:
    """Live, then exit or become the next process. `original` is the environment that the process began with."""
    directory = os.getcwd()  # noqa: PTH109  # agent code changes it, and the next process begins where this one did
    given = original.pop(SOCKET_VARIABLE, "")
    try:
        settings = load(CommandLine(**{**line, "command": tuple(line["command"])}), original)
        tls = load_tls(original, "AGENT")
        sockets = _sockets(settings, given)
        settings = replace(settings, port=int(sockets[0].getsockname()[1]))
        enter_environment(settings)
    except ConfigurationError as error:
        _exit(f"bad configuration: {error}", _USAGE)
    except (CannotListen, OSError) as error:
        _exit(f"cannot start agent {line['agent'] or original.get('AGENT_ID')!r}: {error}", 1)
    identity = Identity(settings.agent.id)
    output = logs.configure(settings.log_level, file=settings.log_file, facts=identity.facts)
    print_to_log()
    tracing = _tracing(settings, identity, original)
    # Never closed: closing waits for agent code that does not end, and the process goes anyway.
    end = asyncio.Runner(loop_factory=new_event_loop).run(_live(settings, identity, sockets, signals, tracing, tls))
    if end.ending is Ending.RESTART:
        _restart(end, directory, original, output, signals)
    _leave(0 if end.ending is not Ending.FAILED else 1, end, output)


def _tracing(settings: AdapterSettings, identity: Identity, original: Mapping[str, str]) -> Tracing:
    """Give the tracing that the agent's environment asks for, with the headers that agent code does not see."""
    variables = {**settings.environment, **{name: original[name] for name in HEADERS if name in original}}
    version = None if settings.agent.version is UNSET else str(settings.agent.version)
    return load_tracing(
        identity.agent_id, identity.instance_id, variables, install="agent-adapter[otel]", version=version
    )


async def _live(
    settings: AdapterSettings,
    identity: Identity,
    sockets: list[socket.socket],
    signals: Signals,
    tracing: Tracing,
    tls: Tls | None,
) -> _End:
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="adapter")
    loop.set_default_executor(threads)
    instance = Instance(settings, identity, sockets, tracing, tls)
    await instance.server.start()

    def on_signal(_: int) -> None:
        loop.call_soon_threadsafe(instance.adapter.lifecycle.leave, "signal")

    signals.obey(on_signal)
    log.info("listening", host=settings.host, port=settings.port)
    if not (instance.adapter.tokens.configured or is_loopback(settings.host)):
        log.warning(
            "anyone who reaches this port may use and stop the agent: set MANAGER_TOKEN_FILE", host=settings.host
        )
    supervisor = instance.supervisor
    ending = await supervisor.run()
    await instance.close()
    threads.shutdown(wait=False, cancel_futures=True)
    return _End(ending, supervisor.failure, supervisor.successor_sockets, supervisor.leave_by, tracing)


def _sockets(settings: AdapterSettings, given: str) -> list[socket.socket]:
    kept = [inherited(int(number), settings.host, settings.port) for number in given.split(",") if number.isdigit()]
    return [listening for listening in kept if listening is not None] or listen(settings.host, settings.port)


def _restart(
    end: _End, directory: str, original: Mapping[str, str], output: logs.LogOutput, signals: Signals
) -> NoReturn:
    """Become a new process with the same command line, PID and listening sockets; exit 1 when that fails.

    A signal is never lost: one that came before the exec ends this process, one that comes later is kept for the next
    by the kernel. That holds for the main thread alone, so the last look is behind the end of our other threads.
    """
    signals.block()
    log.info("restarting", pid=os.getpid())
    _last_steps(end, atexit._run_exitfuncs, end.send_last_spans, output.close)  # noqa: SLF001  # an exec runs none
    environment = {**original, SOCKET_VARIABLE: ",".join(map(str, end.sockets))}
    command = [sys.executable, *sys.orig_argv[1:]]
    try:
        if sys.platform == "win32":
            subprocess.Popen(command, env=dict(original), cwd=directory)  # noqa: S603  # our own command line
            os._exit(0)
        os.chdir(directory)
        if signals.came:
            os._exit(0)
        os.execve(sys.executable, command, environment)  # noqa: S606  # our own command line
    except OSError as error:
        print(f"agent-adapter: cannot restart: {error.strerror}", file=sys.stderr)  # noqa: T201  # the log is closed
        os._exit(1)


def _leave(code: int, end: _End, output: logs.LogOutput) -> NoReturn:
    """Exit at once: agent code's exit handlers run, the interpreter's own teardown (90 ms of freeing memory) does not.

    Nor does it wait for agent code that still runs in a thread: that task was answered for.
    """
    give_up = time.monotonic() + _LINGER_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, give_up - time.monotonic()))
    _last_steps(end, atexit._run_exitfuncs, end.send_last_spans, output.close)  # noqa: SLF001  # nor does os._exit
    if end.failure is not None:
        said = " ".join(end.failure.split())  # one line, and the last one
        _last_steps(end, lambda: print(f"agent-adapter: {said}", file=sys.stderr, flush=True))  # noqa: T201  # the last word
    os._exit(code)


def _last_steps(end: _End, *steps: Callable[[], Any]) -> None:
    """Do the steps, each unless those before it have used up the time."""
    give_up = min(time.monotonic() + _LAST_STEPS_SECONDS, end.leave_by)
    for step in steps:
        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        thread.join(max(_LINGER_SECONDS, give_up - time.monotonic()))


def _exit(message: str, code: int) -> NoReturn:
    print(f"agent-adapter: {message}", file=sys.stderr)  # noqa: T201  # no log is configured yet
    sys.exit(code)
