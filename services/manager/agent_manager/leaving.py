"""The manager's own drain: what is under way finishes, what waits is told, what lasts too long is given up."""

import asyncio
from typing import Final

import structlog
from agent_contract.serving import Server

from agent_manager.config import ManagerSettings
from agent_manager.manager import Manager

LAST_ANSWERS_SECONDS: Final = 2.0
"""After the deadline, for the answers of the calls that were given up."""

log = structlog.stdlib.get_logger(__name__)


async def leave(manager: Manager, server: Server, settings: ManagerSettings) -> None:
    """Return when the manager may exit: at once when it is idle, 2 s after its drain's deadline at the latest."""
    log.info("leaving", in_flight=server.in_flight, timeout_seconds=settings.own_drain_timeout_seconds)
    manager.readiness.withdraw()
    if settings.quiet_seconds:
        await asyncio.sleep(settings.quiet_seconds)  # whoever watches readiness stops sending; nothing ends sooner
    manager.readiness.leaving.set()
    manager.dispatcher.stop_holding()
    loop = asyncio.get_running_loop()
    deadline = loop.call_later(settings.own_drain_timeout_seconds, manager.dispatcher.give_up)
    try:
        async with asyncio.timeout(settings.own_drain_timeout_seconds + LAST_ANSWERS_SECONDS):
            await server.leave()
    except TimeoutError:
        log.warning("left with answers that nobody read", in_flight=server.in_flight)
        server.abort()
        await server.leave()
    finally:
        deadline.cancel()
