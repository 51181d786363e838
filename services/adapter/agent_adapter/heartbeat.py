"""Every manager behind the manager's name: each address is one of its own, and gets all that is said.

None of them can hold up another: each has a conversation of its own, and leaving speaks to all at once. What they
order is made one here. While the instance comes up, `paused` from any manager's first answer is obeyed: a manager that
is young may not know yet what an operator ordered. Later the word that changed last is the one that is sent back.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

import structlog
from agent_contract.wire import FinishedTask, Orders, Unregistration

from agent_adapter.credentials import ManagerTokens
from agent_adapter.http_client import HttpClient
from agent_adapter.identity import resolve
from agent_adapter.manager_link import Instance, ManagerLink

_RESOLVE_SECONDS: Final = 30.0
_RESOLVE_AWAY_SECONDS: Final = 5.0
"""The same while a manager does not answer: another one may have come in its place, at another address."""
_RESOLVE_RETRY_SECONDS: Final = 1.0
"""The same while no address is known: there is nobody to talk to."""
_JITTER: Final = 0.1
_MOST_MANAGERS: Final = 16
"""A name with more addresses means something else: a thousand agents at a thousand addresses would be a storm."""

Address = tuple[str, int]

log = structlog.stdlib.get_logger(__name__)


class Managers:
    """The links to all managers, one an address."""

    def __init__(
        self, url: str | None, client: HttpClient, instance: Instance, *, tokens: ManagerTokens, interval: float
    ) -> None:
        self._url = url
        self._client = client
        self._instance = instance
        self._tokens = tokens
        self._interval = interval
        self._links: dict[Address, ManagerLink] = {}
        self._words: dict[Address, Orders] = {}
        """What each manager said last."""
        self._looked_up_at: float | None = None
        self._coming_up = url is not None
        self._told = False
        self._leaving = False
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Keep a link to each address that the name has, looked up every 30 s."""
        if self._url is None:
            return
        async with asyncio.TaskGroup() as group:
            while True:
                if self._look_up_is_due():
                    await self._look_up(self._url, group)
                pause = _RESOLVE_AWAY_SECONDS if self._links else _RESOLVE_RETRY_SECONDS
                await asyncio.sleep(pause * _about_one())

    async def first_answer(self, seconds: float) -> None:
        """Return when each first registration was answered or failed, after `seconds` at the latest.

        The instance has been told then what the answers mean together.
        """
        if self._url is None:
            return
        try:
            await self._until(self._tried, seconds)
        finally:
            self._coming_up = False
            if self._words:
                self._tell(_together(list(self._words.values())))

    def push(self) -> None:
        """Tell every manager now."""
        for link in self._links.values():
            link.push()

    async def take_leave(
        self, heard_seconds: float, results: Callable[[], list[FinishedTask]], last_word: Unregistration
    ) -> None:
        """Give each manager the results that nobody fetched and the last word, once it has answered to `stopping`.

        That answer is waited for `heard_seconds` at the latest, and not where the connection is refused. From now on
        nobody is told that this instance is there; a registration under way is waited for, as a manager that takes it
        must hear of the end, too.
        """
        self._leaving = True
        links = list(self._links.values())
        for link in links:
            link.leaving = True
        await asyncio.gather(*(link.take_leave(heard_seconds, results, last_word) for link in links))

    def _tried(self) -> bool:
        return self._looked_up_at is not None and all(link.tried for link in self._links.values())

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._heard.clear()
                    await self._heard.wait()

    def _ordered(self, address: Address, orders: Orders) -> None:
        before, self._words[address] = self._words.get(address), orders
        if self._coming_up:
            return
        changed = before is not None and before.desired_state != orders.desired_state
        if changed or not self._told:
            self._tell(orders)

    def _tell(self, orders: Orders) -> None:
        self._told = True
        self._instance.ordered(orders)

    def _look_up_is_due(self) -> bool:
        if self._looked_up_at is None or not self._links or any(link.away for link in self._links.values()):
            return True
        return asyncio.get_running_loop().time() - self._looked_up_at >= _RESOLVE_SECONDS - _RESOLVE_AWAY_SECONDS / 2

    async def _look_up(self, url: str, group: asyncio.TaskGroup) -> None:
        """Follow what the name means now; one that cannot be resolved leaves the managers that are known."""
        try:
            addresses = await asyncio.to_thread(resolve, url)
        except (OSError, ValueError) as error:  # UnicodeError, a ValueError: a name that cannot be one
            log.warning("cannot resolve the manager's name, trying on", url=url, error=str(error))
        else:
            if len(addresses) > _MOST_MANAGERS:
                log.warning("the manager's name has too many addresses", url=url, taken=_MOST_MANAGERS)
            if not self._leaving:
                self._follow(url, set(addresses[:_MOST_MANAGERS]), group)
        self._looked_up_at = asyncio.get_running_loop().time()
        self._heard.set()

    def _follow(self, url: str, addresses: set[Address], group: asyncio.TaskGroup) -> None:
        for address, link in self._links.items():
            link.listed = address in addresses
        for address in addresses - self._links.keys():
            self._links[address] = ManagerLink(
                url,
                address,
                self._client,
                self._instance,
                tokens=self._tokens,
                interval=self._interval,
                on_answer=self._heard.set,
                on_orders=lambda orders, of=address: self._ordered(of, orders),  # type: ignore[misc]  # a default binds it
            )
            group.create_task(self._converse(address))

    async def _converse(self, address: Address) -> None:
        await self._links[address].run()
        del self._links[address]
        self._tokens.forget(address)
        self._words.pop(address, None)


def _together(answers: list[Orders]) -> Orders:
    """Give what first answers mean together: `paused` if any says so."""
    return next((each for each in answers if each.desired_state == "paused"), answers[0])


def _about_one() -> float:
    """Give a factor that keeps a thousand instances from asking in step."""
    return random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # jitter
