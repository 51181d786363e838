"""From the settings to the exit code: what happens around one life, and the exec that begins the next."""

import asyncio
import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import structlog
import uvloop
from agent_contract import logs
from agent_contract.loading import ConfigurationError
from agent_contract.serving import CannotListen, inherited, listen

from agent_adapter.__main__ import SOCKET_VARIABLE, Signals
from agent_adapter.composition import Instance, enter_environment
from agent_adapter.config import AdapterSettings, CommandLine, load
from agent_adapter.identity import Identity
from agent_adapter.printing import print_to_log
from agent_adapter.supervisor import Ending

_USAGE: Final = 2
_LINGER_SECONDS: Final = 0.05
"""How long agent threads may take to notice that the process ends; then it ends without them."""

log = structlog.stdlib.get_logger("agent_adapter")


def run(line: Mapping[str, Any], original: Mapping[str, str], signals: Signals) -> NoReturn:
    """Live, then exit or become the next process."""
    try:
        settings = load(CommandLine(**{**line, "command": tuple(line["command"])}), original)
        sockets = _sockets(settings, original)
        enter_environment(settings)
    except ConfigurationError as error:
        _exit(f"agent-adapter: bad configuration: {error}", _USAGE)
    except (CannotListen, OSError) as error:
        _exit(f"agent-adapter: cannot start agent {line['agent'] or original.get('AGENT_ID')!r}: {error}", 1)
    identity = Identity(settings.agent.id)
    output = logs.configure(
        settings.log_level,
        file=settings.log_file,
        facts={"agent": identity.agent_id, "instance_id": identity.instance_id},
    )
    print_to_log()
    kept = [os.dup(listening.fileno()) for listening in sockets]
    ending = uvloop.run(_live(settings, identity, sockets, signals))
    if ending is Ending.RESTART:
        _restart(kept, original, output)
    output.close()
    _leave(ending.value)


async def _live(
    settings: AdapterSettings, identity: Identity, sockets: list[socket.socket], signals: Signals
) -> Ending:
    instance = Instance(settings, identity, sockets)
    loop = asyncio.get_running_loop()
    await instance.server.start()

    def on_signal(_: int) -> None:
        loop.call_soon_threadsafe(instance.adapter.lifecycle.leave, "signal")

    signals.obey(on_signal)
    log.info("listening", host=settings.host, port=sockets[0].getsockname()[1], agent=settings.agent.id)
    try:
        return await instance.supervisor.run()
    finally:
        await instance.close()


def _sockets(settings: AdapterSettings, original: Mapping[str, str]) -> list[socket.socket]:
    given = original.get(SOCKET_VARIABLE, "")
    kept = [inherited(int(number), settings.host, settings.port) for number in given.split(",") if number.isdigit()]
    return [listening for listening in kept if listening is not None] or listen(settings.host, settings.port)


def _restart(kept: list[int], original: Mapping[str, str], output: logs.LogOutput) -> None:
    """Become a new process with the same command line, PID and listening socket; exit 1 when that fails."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    for number in kept:
        os.set_inheritable(number, True)
    environment = {**original, SOCKET_VARIABLE: ",".join(map(str, kept))}
    log.info("restarting", pid=os.getpid())
    output.close()
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606  # our own command line
    except OSError as error:
        _exit(f"agent-adapter: cannot restart: {error}", 1)


def _leave(code: int) -> NoReturn:
    """Exit at once: agent code's exit handlers run, the interpreter's own teardown (90 ms of freeing memory) does not.

    Nor does it wait for agent code that still runs in a thread: that task was answered for.
    """
    end = time.monotonic() + _LINGER_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, end - time.monotonic()))
    atexit._run_exitfuncs()  # noqa: SLF001  # the only way to run them before os._exit
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201  # no log is configured yet
    sys.exit(code)
