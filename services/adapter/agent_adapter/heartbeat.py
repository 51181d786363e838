"""What this instance tells its managers: registration, heartbeats, results that nobody fetched, and its last word.

Each address of the manager's name is a manager of its own and gets all of it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog
from agent_contract.tokens import HEADER
from agent_contract.wire import FinishedTask, HandOver, Heartbeat, Orders, Registration, State, Unregistration

from agent_adapter.http_client import Answer, CallFailed, ConnectFailed, HttpClient
from agent_adapter.identity import resolve

_ANSWER_SECONDS: Final = 2.0
"""How long a manager may take to answer: a beat must not outlast its interval by much."""
_LAST_WORD_SECONDS: Final = 0.6
"""The same while leaving: hand-over and unregistration end within the 2 s after a deadline."""
_RESOLVE_SECONDS: Final = 30.0
_FIRST_RETRY_SECONDS: Final = 0.25
_BATCH_BYTES: Final = 4 * 1024 * 1024
_JITTER: Final = 0.1

log = structlog.stdlib.get_logger(__name__)


class Instance(Protocol):
    """What a manager is told, as it is at the moment of asking."""

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration for a manager at this address."""

    def heartbeat(self) -> Heartbeat:
        """Give the present beat."""

    def ordered(self, orders: Orders) -> None:
        """Take a manager's answer; only the first ever is obeyed, later ones are kept to be sent back."""

    def stale(self) -> None:
        """Be told that another life has this one's place."""


class ManagerLink:
    """The conversation with one manager, for as long as the process lives."""

    def __init__(
        self, url: str, address: tuple[str, int], client: HttpClient, instance: Instance, *, token: str, interval: float
    ) -> None:
        parts = urlsplit(url)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.address = address
        self._base = f"{parts.scheme}://{host}:{address[1]}/api/agent-services"
        self._headers = {"content-type": "application/json", "host": parts.netloc}
        if token:
            self._headers[HEADER] = token
        self._client = client
        self._instance = instance
        self._interval = interval
        self._wake = asyncio.Event()
        self.registered = False
        self.tried = asyncio.Event()
        self.refused = False
        self.acknowledged: State | None = None
        self.heard = asyncio.Event()

    def push(self) -> None:
        """Tell the manager now: something changed that it must know."""
        self._wake.set()

    async def run(self) -> None:
        """Register, then beat; register again when the manager does not know this instance."""
        attempt = 0
        while True:
            self._wake.clear()
            done = await (self._beat() if self.registered else self._register())
            attempt = 0 if done else attempt + 1
            await self._pause(attempt)

    async def hand_over(self, results: Iterable[FinishedTask]) -> None:
        """Give the manager the results that nobody fetched, in batches."""
        for batch in _batches(results):
            beat = self._instance.heartbeat()
            message = HandOver(id=beat.id, instance_id=beat.instance_id, results=batch)
            await self._last_word("results", message)

    async def unregister(self, message: Unregistration) -> None:
        """Say this instance's last word."""
        await self._last_word("unregister", message)

    async def _last_word(self, route: str, message: msgspec.Struct) -> None:
        if not self.registered:
            return
        try:
            answer = await self._post(route, message, _LAST_WORD_SECONDS)
        except CallFailed as error:
            log.warning("manager did not take the last word", route=route, error=str(error))
        else:
            if answer.status >= 300:  # noqa: PLR2004  # anything but success
                log.warning("manager refused the last word", route=route, status=answer.status)

    async def _register(self) -> bool:
        registration = self._instance.registration(self.address)
        answer = await self._ask("register", registration)
        if answer is not None and answer.status == 200:  # noqa: PLR2004  # the contract's only success
            first, self.registered = not self.registered, True
            if first:
                log.info("registered", manager=self._base, service_url=registration.service_url)
            self._answered(answer, registration.status)
        elif answer is not None:
            self._refusal(answer)
        self.tried.set()
        return self.registered

    async def _beat(self) -> bool:
        beat = self._instance.heartbeat()
        answer = await self._ask("heartbeat", beat)
        if answer is None:
            return False
        if answer.status == 404:  # noqa: PLR2004  # the manager does not know this instance
            self.registered = False
            return await self._register()
        if answer.status != 200:  # noqa: PLR2004  # the contract's only success
            self._refusal(answer)
            return False
        self._answered(answer, beat.status)
        return True

    def _answered(self, answer: Answer, state: State | None) -> None:
        try:
            orders = msgspec.json.decode(answer.body, type=Orders)
        except msgspec.MsgspecError as error:
            log.warning("manager's answer cannot be read", error=str(error))
        else:
            self._interval = orders.heartbeat_interval_seconds
            self._instance.ordered(orders)
        self.acknowledged = state
        self.heard.set()

    def _refusal(self, answer: Answer) -> None:
        problem = answer.json()
        code = problem.get("code") if isinstance(problem, dict) else None
        detail = problem.get("detail") if isinstance(problem, dict) else None
        log.warning("manager refused this instance", status=answer.status, code=code, detail=detail)
        if code == "stale-instance":
            self.registered = False
            self._instance.stale()

    async def _ask(self, route: str, message: msgspec.Struct) -> Answer | None:
        try:
            answer = await self._post(route, message, _ANSWER_SECONDS)
        except CallFailed as error:
            refused = isinstance(error, ConnectFailed) and error.refused
            if not self.refused:
                log.warning("manager does not answer, trying on", error=str(error))
            self.refused = refused
            self.heard.set()
            return None
        self.refused = False
        return answer

    async def _post(self, route: str, message: msgspec.Struct, seconds: float) -> Answer:
        body = msgspec.json.encode(message)
        url = f"{self._base}/{route}"
        return await self._client.request("POST", url, headers=self._headers, body=body, timeout_seconds=seconds)

    async def _pause(self, attempt: int) -> None:
        if attempt:
            seconds = random.uniform(0.05, min(self._interval, _FIRST_RETRY_SECONDS * 2**attempt))  # noqa: S311  # jitter
        else:
            seconds = self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # jitter
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()


class Managers:
    """Every manager behind the manager's name."""

    def __init__(self, url: str | None, client: HttpClient, instance: Instance, *, token: str, interval: float) -> None:
        self._url = url
        self._client = client
        self._instance = instance
        self._token = token
        self._interval = interval
        self._links: dict[tuple[str, int], ManagerLink] = {}
        self._runs: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._resolved = asyncio.Event()

    async def run(self) -> None:
        """Keep a link to each address that the name has, looked up every 30 s."""
        if self._url is None:
            return
        async with asyncio.TaskGroup() as group:
            while True:
                await self._look_up(self._url, group)
                await asyncio.sleep(_RESOLVE_SECONDS if self._links else 1.0)

    async def first_answer(self, seconds: float) -> None:
        """Return when a first registration was answered or failed, after `seconds` at the latest."""
        if self._url is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._resolved.wait()
                tries = [asyncio.ensure_future(link.tried.wait()) for link in self._links.values()]
                if tries:
                    _, waiting = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
                    for waiter in waiting:
                        waiter.cancel()

    def push(self) -> None:
        """Tell every manager now."""
        for link in self._links.values():
            link.push()

    async def heard_stopping(self, seconds: float) -> None:
        """Return when every manager that knows this instance has answered to `stopping`, `seconds` at the latest.

        One that refuses the connection is not waited for.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for link in list(self._links.values()):
                    while link.registered and not link.refused and link.acknowledged != "stopping":
                        link.heard.clear()
                        await link.heard.wait()

    async def hand_over(self, results: list[FinishedTask]) -> None:
        """Give each manager the results that nobody fetched."""
        await self._each(lambda link: link.hand_over(results))

    async def unregister(self, message: Unregistration) -> None:
        """Say the last word to each manager."""
        await self._each(lambda link: link.unregister(message))

    async def _each(self, say: Callable[[ManagerLink], Awaitable[Any]]) -> None:
        await asyncio.gather(*(say(link) for link in self._links.values()))

    async def _look_up(self, url: str, group: asyncio.TaskGroup) -> None:
        try:
            addresses = set(await asyncio.to_thread(resolve, url))
        except OSError as error:
            log.warning("cannot resolve the manager's name, trying on", url=url, error=str(error))
            self._resolved.set()
            return
        for address in self._links.keys() - addresses:
            self._runs.pop(address).cancel()
            del self._links[address]
        for address in addresses - self._links.keys():
            link = ManagerLink(url, address, self._client, self._instance, token=self._token, interval=self._interval)
            self._links[address] = link
            self._runs[address] = group.create_task(link.run())
        self._resolved.set()


def _batches(results: Iterable[FinishedTask]) -> Iterable[list[FinishedTask]]:
    batch: list[FinishedTask] = []
    size = 0
    for result in results:
        batch.append(result)
        size += len(result.result) if isinstance(result.result, msgspec.Raw) else 0
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
