"""From the settings to the exit code."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import Final, NoReturn

import structlog
from agent_contract import __version__, logs
from agent_contract.identity import new_id
from agent_contract.loading import ConfigurationError
from agent_contract.loopback import is_loopback
from agent_contract.serving import CannotListen, PortInUse, Server, listen, new_event_loop
from agent_contract.tls import Tls, load_tls
from agent_contract.tracing import Tracing
from agent_contract.tracing import load as load_tracing

from agent_manager.config import CommandLine, ManagerSettings, check_exposure, load
from agent_manager.credentials import Credentials
from agent_manager.signals import Signals

_FAILED: Final = 1
_USAGE: Final = 2
_KEEP_ALIVE_SECONDS: Final = 5.0
"""At least; and longer than the pause between two beats, so that each adapter's share a connection."""
_LAST_SPANS_SECONDS: Final = 0.7
"""A collector that does not answer costs the last spans, not the exit."""

log = structlog.stdlib.get_logger("agent_manager")


def run(line: CommandLine, process: Mapping[str, str], signals: Signals) -> NoReturn:
    """Live, then exit: 0 after a drain, 1 where the port cannot be had, 2 for a bad configuration."""
    try:
        settings = load(line, process)
        credentials = Credentials(process, asyncio.new_event_loop().time)
        check_exposure(
            settings,
            closes_adapter_routes=credentials.closes_adapter_routes,
            closes_client_routes=credentials.closes_client_routes,
        )
        tls = load_tls(process, "MANAGER")
        sockets = listen(settings.host, settings.port)
    except ConfigurationError as error:
        _exit(f"bad configuration: {error}", _USAGE)
    except PortInUse as error:
        _exit(f"{error}; end it, or say --port", _FAILED)
    except CannotListen as error:
        _exit(str(error), _FAILED)
    output = logs.configure(settings.log_level, file=settings.log_file)
    tracing = load_tracing("agent-manager", new_id(), process, install="agent-manager[otel]", version=__version__)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(_live(settings, credentials, sockets, signals, tracing, tls))
        except ConfigurationError as error:  # there is no cluster where one is to be
            _exit(f"bad configuration: {error}", _USAGE)
    tracing.close(_LAST_SPANS_SECONDS)
    output.close()
    sys.stdout.flush()
    os._exit(0)  # the interpreter's own teardown takes 90 ms, and nothing is left to do


async def _live(
    settings: ManagerSettings,
    credentials: Credentials,
    sockets: list[socket.socket],
    signals: Signals,
    tracing: Tracing,
    tls: Tls | None,
) -> None:
    # heavy, and not needed to say what is wrong: callers that come meanwhile wait in the socket's backlog
    from agent_manager.app import application  # noqa: PLC0415  # as said above
    from agent_manager.composition import Parts  # noqa: PLC0415  # as said above
    from agent_manager.leaving import leave  # noqa: PLC0415  # as said above
    from agent_manager.membership import join  # noqa: PLC0415  # as said above

    member = await join(settings, sockets[0].getsockname()[1], tls=tls is not None)
    parts = Parts(settings, credentials, member=member, tracing=tracing, tls=tls)
    keep_alive_seconds = max(_KEEP_ALIVE_SECONDS, 2 * settings.heartbeat_interval_seconds)
    context = None if tls is None else tls.server
    server = Server(application(parts.manager), sockets, keep_alive_seconds=keep_alive_seconds, tls=context)
    loop, ordered = asyncio.get_running_loop(), asyncio.Event()
    gc.freeze()  # what is there now stays: no collection looks through a hundred thousand objects of libraries again
    async with parts.running():
        await server.start()
        signals.obey(partial(loop.call_soon_threadsafe, ordered.set))
        log.info("listening", host=settings.host, port=sockets[0].getsockname()[1], agents=len(settings.agents))
        _say_who_is_asked(settings, credentials)
        await ordered.wait()
        await leave(parts.manager, server, settings)
    log.info("left")


def _say_who_is_asked(settings: ManagerSettings, credentials: Credentials) -> None:
    """Say so where nobody, or not everybody, is asked who they are."""
    if credentials.closes_adapter_routes and credentials.closes_client_routes:
        return
    tell = log.info if is_loopback(settings.host) else log.warning
    tell(
        "not everybody is asked who they are",
        host=settings.host,
        adapters=credentials.closes_adapter_routes,
        people=credentials.closes_client_routes,
    )


def _exit(message: str, code: int) -> NoReturn:
    print(f"agent-manager: {message}", file=sys.stderr)  # noqa: T201  # no log is configured yet
    sys.exit(code)
