"""Every manager behind the manager's name: each address is one of its own, and gets all that is said."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from agent_contract.wire import FinishedTask, Unregistration

from agent_adapter.http_client import HttpClient
from agent_adapter.identity import resolve
from agent_adapter.manager_link import Instance, ManagerLink

_RESOLVE_SECONDS: Final = 30.0
_RESOLVE_RETRY_SECONDS: Final = 1.0

log = structlog.stdlib.get_logger(__name__)


class Managers:
    """The links to all managers, one an address."""

    def __init__(self, url: str | None, client: HttpClient, instance: Instance, *, token: str, interval: float) -> None:
        self._url = url
        self._client = client
        self._instance = instance
        self._token = token
        self._interval = interval
        self._links: dict[tuple[str, int], ManagerLink] = {}
        self._runs: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._looked_up = False
        self._leaving = False
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Keep a link to each address that the name has, looked up every 30 s."""
        if self._url is None:
            return
        async with asyncio.TaskGroup() as group:
            while True:
                await self._look_up(self._url, group)
                await asyncio.sleep(_RESOLVE_SECONDS if self._links else _RESOLVE_RETRY_SECONDS)

    async def first_answer(self, seconds: float) -> None:
        """Return when a first registration was answered or all failed, after `seconds` at the latest."""
        if self._url is not None:
            await self._until(self._tried, seconds)

    def push(self) -> None:
        """Tell every manager now."""
        for link in self._links.values():
            link.push()

    async def heard_stopping(self, seconds: float) -> None:
        """Return when every manager that knows this instance has answered to `stopping`, `seconds` at the latest.

        One that refuses the connection is not waited for. From now on nobody is told that this instance is there; a
        registration under way is waited for, as a manager that takes it must hear of the end, too.
        """
        self._leaving = True
        for link in self._links.values():
            link.leaving = True
        await self._until(self._all_know_of_leaving, seconds)

    async def hand_over(self, results: list[FinishedTask]) -> None:
        """Give each manager the results that nobody fetched."""
        await self._each(lambda link: link.hand_over(results))

    async def unregister(self, message: Unregistration) -> None:
        """Say the last word to each manager."""
        await self._each(lambda link: link.unregister(message))

    def _tried(self) -> bool:
        links = self._links.values()
        return any(link.registered for link in links) or (self._looked_up and all(link.tried for link in links))

    def _all_know_of_leaving(self) -> bool:
        links = [link for link in self._links.values() if link.registered or link.registering]
        return all(link.acknowledged == "stopping" or link.refused for link in links)

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._heard.clear()
                    await self._heard.wait()

    async def _each(self, say: Callable[[ManagerLink], Awaitable[Any]]) -> None:
        await asyncio.gather(*(say(link) for link in self._links.values()))

    async def _look_up(self, url: str, group: asyncio.TaskGroup) -> None:
        try:
            addresses = set(await asyncio.to_thread(resolve, url))
        except (OSError, ValueError) as error:  # UnicodeError, a ValueError: a name that cannot be one
            log.warning("cannot resolve the manager's name, trying on", url=url, error=str(error))
        else:
            if not self._leaving:
                self._follow(url, addresses, group)
        self._looked_up = True
        self._heard.set()

    def _follow(self, url: str, addresses: set[tuple[str, int]], group: asyncio.TaskGroup) -> None:
        for address in self._links.keys() - addresses:
            self._runs.pop(address).cancel()
            del self._links[address]
        for address in addresses - self._links.keys():
            link = ManagerLink(
                url,
                address,
                self._client,
                self._instance,
                token=self._token,
                interval=self._interval,
                on_answer=self._heard.set,
            )
            self._links[address] = link
            self._runs[address] = group.create_task(link.run())
