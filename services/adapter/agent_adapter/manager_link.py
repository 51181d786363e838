"""The conversation with one manager: registration, heartbeats, results that nobody fetched, the last word."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog
from agent_contract.wire import FinishedTask, HandOver, Heartbeat, Orders, Registration, State, Unregistration

from agent_adapter.credentials import ManagerTokens
from agent_adapter.http_client import Answer, CallFailed, ConnectFailed, HttpClient

_ANSWER_SECONDS: Final = 2.0
"""How long a manager may take to answer: a beat must not outlast its interval by much."""
_LAST_WORD_SECONDS: Final = 0.6
"""The same while leaving: hand-over and unregistration end within the 2 s after a deadline."""
_FIRST_RETRY_SECONDS: Final = 0.25
_MOST_DOUBLINGS: Final = 16
"""Then the interval has long been the bound; a manager may be away for days."""
_SHORTEST_INTERVAL_SECONDS: Final = 0.01
_LONGEST_INTERVAL_SECONDS: Final = 3600.0
_BATCH_BYTES: Final = 4 * 1024 * 1024
_JITTER: Final = 0.1
_OK: Final = 200
_UNKNOWN: Final = 404

log = structlog.stdlib.get_logger(__name__)


class Instance(Protocol):
    """What a manager is told, as it is at the moment of asking."""

    def registration(self, manager: tuple[str, int]) -> Registration:
        """Give the registration for a manager at this address; raises OSError when there is no way to it."""

    def heartbeat(self) -> Heartbeat:
        """Give the present beat."""

    def ordered(self, orders: Orders) -> None:
        """Take what the managers order; only the first ever is obeyed, later ones are kept to be sent back."""

    def stale(self) -> None:
        """Be told that another life has the place of this one, as its id is now."""


class ManagerLink:
    """The conversation with the manager at one address, for as long as the process lives.

    `on_answer` is told after each attempt, `on_orders` what the manager orders.
    """

    def __init__(
        self,
        url: str,
        address: tuple[str, int],
        client: HttpClient,
        instance: Instance,
        *,
        tokens: ManagerTokens,
        interval: float,
        on_answer: Callable[[], None],
        on_orders: Callable[[Orders], None],
    ) -> None:
        parts = urlsplit(url)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.address = address
        self._base = f"{parts.scheme}://{host}:{address[1]}/api/agent-services"
        self._headers = {"content-type": "application/json", "host": parts.netloc}
        self._tokens = tokens
        self._client = client
        self._instance = instance
        self._interval = interval
        self._on_answer = on_answer
        self._on_orders = on_orders
        self._wake = asyncio.Event()
        self._turned = asyncio.Event()
        self._conversation: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        self._said: tuple[str, Any] | None = None
        """What the manager was told: the schema is known only when the agent is there, and an address may change."""
        self.listed = True
        """Whether the managers' name has this address; a manager without it is kept for as long as it answers."""
        self.leaving = False
        """Whether it is too late to register: a manager that hears of this instance now would never hear of its end."""
        self.registering = False
        self.registered = False
        self.tried = False
        """Whether a first registration was answered, or failed."""
        self.away = False
        """Whether the last attempt got no answer."""
        self._silent = False
        """Whether it was too long in coming."""
        self.refused = False
        """Whether nothing listens there."""
        self.acknowledged: State | None = None
        """The state that the manager last answered to."""

    def push(self) -> None:
        """Tell the manager now: something changed that it must know."""
        self._wake.set()

    async def run(self) -> None:
        """Register, then beat; register again when the manager does not know this instance.

        It never gives up, unless the name no longer has this address: a headless Service leaves out a manager that
        drains, which still forwards and has to know how its instances are. That one's end is the first attempt that
        it does not take.
        """
        attempt, self._conversation = 0, asyncio.current_task()
        while attempt == 0 or self.listed:
            self._wake.clear()
            attempt = 0 if await self._turn() else attempt + 1
            self._turned.set()
            self._on_answer()
            await self._pause(attempt)
        log.info("manager is gone, and its address from the name", manager=self._base)

    async def take_leave(
        self, heard_seconds: float, results: Callable[[], list[FinishedTask]], last_word: Unregistration
    ) -> None:
        """Hand over and unregister, once the manager has answered to `stopping` or that took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(heard_seconds):
                while not self._knows_of_leaving():
                    self._turned.clear()
                    await self._turned.wait()
        await self._hand_over(results())
        if self._conversation is not None:
            self._conversation.cancel()  # nothing is said behind the last word
        await self._last_word("unregister", last_word)

    def _knows_of_leaving(self) -> bool:
        unknown = not (self.registered or self.registering)
        return unknown or self.acknowledged == "stopping" or self.refused

    async def _hand_over(self, results: Iterable[FinishedTask]) -> None:
        """Give the manager the results that nobody fetched, in batches; the first that fails is the last."""
        for batch in _batches(results):
            beat = self._instance.heartbeat()
            if not await self._last_word("results", HandOver(beat.id, beat.instance_id, batch)):
                return

    async def _last_word(self, route: str, message: msgspec.Struct) -> bool:
        if not self.registered:
            return False
        try:
            answer = await self._post(route, message, _LAST_WORD_SECONDS)
        except CallFailed as error:
            log.warning("manager did not take the last word", route=route, error=str(error))
            return False
        if answer.status >= 300:  # noqa: PLR2004  # anything but success
            log.warning("manager refused the last word", route=route, status=answer.status)
            return False
        return True

    async def _turn(self) -> bool:
        """Register or beat; gives whether the manager took it. Whatever goes wrong, there is a next turn."""
        try:
            if not self.registered and (self.leaving or not self.listed):
                return False
            registration = self._instance.registration(self.address)
            known = self.registered and _facts(registration) == self._said
            return await (self._beat() if known else self._register(registration))
        except CallFailed as error:
            self.away, self.refused = True, isinstance(error, ConnectFailed) and error.refused
            self._silent = isinstance(error.__cause__, TimeoutError)
            self._in_trouble(str(error))
        except Exception as error:  # a loop that died would leave the instance unknown for ever
            self._in_trouble(f"{type(error).__name__}: {error}")
            log.debug("turn failed", exc_info=error)
        self.tried = True
        return False

    async def _register(self, registration: Registration) -> bool:
        self.registering = True
        try:
            answer = await self._ask("register", registration)
        finally:
            self.registering = False
        self.tried = True
        if answer.status != _OK:
            self._refusal(answer, registration.instance_id)
            return False
        if not self.registered:
            log.info("registered", manager=self._base, service_url=registration.service_url)
        self.registered, self._said = True, _facts(registration)
        self._answered(answer, registration.status)
        return True

    async def _beat(self) -> bool:
        beat = self._instance.heartbeat()
        answer = await self._ask("heartbeat", beat)
        if answer.status == _UNKNOWN:
            self.registered = False
            return await self._turn()
        self.acknowledged = beat.status
        if answer.status != _OK:
            self._refusal(answer, beat.instance_id)
            return False
        self._answered(answer, beat.status)
        return True

    def _answered(self, answer: Answer, state: State | None) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.info("manager answers again", manager=self._base)
        self.acknowledged = state
        try:
            orders = msgspec.json.decode(answer.body, type=Orders)
        except msgspec.MsgspecError as error:
            log.warning("manager's answer cannot be read", error=str(error))
            return
        asked = orders.heartbeat_interval_seconds
        self._interval = min(_LONGEST_INTERVAL_SECONDS, max(_SHORTEST_INTERVAL_SECONDS, asked))
        self._on_orders(orders)

    def _refusal(self, answer: Answer, instance_id: str) -> None:
        """Note that the manager refused what was said under this id, which may be an older one of this process.

        Each manager that knows the newer life says so of the old id: that is one verdict, not several.
        """
        said = answer.json()
        problem = said if isinstance(said, dict) else {}
        self._in_trouble(f"it answered {answer.status} {problem.get('code')}: {problem.get('detail')}")
        if problem.get("code") == "stale-instance":
            self.registered = False
            if instance_id == self._instance.heartbeat().instance_id:
                self._instance.stale()
            else:
                self.push()

    def _in_trouble(self, reason: str) -> None:
        """Log the trouble once: a manager that is away for a day would fill the log with it."""
        if reason != self._trouble:
            self._trouble = reason
            log.warning("manager does not take this instance, trying on", manager=self._base, reason=reason)

    async def _ask(self, route: str, message: msgspec.Struct) -> Answer:
        answer = await self._post(route, message, _ANSWER_SECONDS)
        self.away = self.refused = self._silent = False
        return answer

    async def _post(self, route: str, message: msgspec.Struct, seconds: float) -> Answer:
        body = msgspec.json.encode(message)
        url = f"{self._base}/{route}"
        headers = self._headers | self._tokens.headers
        answer = await self._client.request("POST", url, headers=headers, body=body, timeout_seconds=seconds)
        self._tokens.heard(self.address, answer.headers.get("date"))
        return answer

    async def _pause(self, attempt: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds(attempt)):
                await self._wake.wait()

    def _pause_seconds(self, attempt: int) -> float:
        """Give how long to wait behind so many failures: not long for a manager that is coming up.

        One that takes connections and does not answer has too much to do, or hangs: with the time that it was waited
        for, it is asked no more often than if it answered, and not by all instances at once.
        """
        if not attempt:
            return self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # jitter
        longest: float = min(self._interval, _FIRST_RETRY_SECONDS * 2 ** min(attempt, _MOST_DOUBLINGS))
        if self._silent:
            longest = self._interval
        return random.uniform(min(0.05, longest), longest)  # noqa: S311  # jitter


def _facts(registration: Registration) -> tuple[str, Any]:
    return registration.service_url, registration.metadata


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
