"""Fetching the instances' own metrics pages, so that whoever scrapes the manager has those of all agents.

A page that is asked for begins a round: each instance is asked once. It is answered at once with what the round before
brought, so that values are as old as the scraper's interval, for each instance in the same rhythm, and nothing is
fetched while nobody asks. Only an instance of which nothing is known yet is waited for, a second at most.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct

from agent_manager.agent_client import AgentClient, BadResponse, CallError, Response
from agent_manager.background import Background
from agent_manager.departures import Departure
from agent_manager.metrics import Carried, Malformed, Reader, Refusal
from agent_manager.records import Instance
from agent_manager.registry import Registry

MAX_PAGE_BYTES: Final = 1024 * 1024
"""What is read of a page. The client that fetches them holds this too, so that none is in memory beyond it."""
KEPT_SECONDS: Final = 90.0
"""What was fetched before that is not shown: scrapers come once a minute at least, and then nothing is this old."""
FIRST_SECONDS: Final = 1.0
"""What a page waits for instances of which nothing is known; a tenth of what Prometheus gives a scrape."""
_ANSWER_SECONDS: Final = 1.0
_LEAST_SECONDS: Final = 1.0
"""Between two rounds, for scrapers that come at the same time."""
_AT_ONCE: Final = 4
"""Pages under way: 4 MiB at most, and what is read of them between two turns of the event loop is a millisecond."""
_PAUSE_SECONDS: Final = 0.008
"""After as many: 500 instances a second at most, of which each takes 0.65 ms of processor time."""
_FAILURES: Final = 2
"""In a row, after which what is known of an instance is shown no more."""
_OK: Final = 200
_HEADERS: Final = ((b"accept", b"application/openmetrics-text;version=1.0.0"),)
_MEDIA_TYPE: Final = b"application/openmetrics-text"


class _Fetched(Struct, gc=False):
    """What became of an instance's page."""

    at: float
    """Monotonic: when it was last tried."""
    failures: int = 0
    page: int | None = None
    """The hash of the page that is shown: one that is the same again, as those of idle instances are, is not read."""


class Scrapes:
    """Fetches pages, and keeps what they say in `carried`."""

    def __init__(
        self,
        registry: Registry,
        client: AgentClient,
        carried: Carried,
        background: Background,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._client = client
        self._carried = carried
        self._background = background
        self._clock = clock
        self._fetched: dict[str, _Fetched] = {}
        self._began_at = float("-inf")
        self._asked = asyncio.Event()
        self._over = asyncio.Event()
        registry.departed.append(self._departed)

    async def run(self, after_round: Callable[[], Awaitable[None]]) -> None:
        """Go round when somebody asked, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._background.step("scrapes", self._round)
            await self._background.step("scrapes", after_round)
            self._over.set()
            self._over = asyncio.Event()

    async def ask(self) -> None:
        """Begin a round for who asks next, and drop what is old; waits where something is not known at all."""
        now = self._clock()
        for instance_id in [one for one, fetched in self._fetched.items() if now - fetched.at > KEPT_SECONDS]:
            self._forget(instance_id)
        if now - self._began_at >= _LEAST_SECONDS:
            self._asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                while self._any_unknown():
                    self._asked.set()
                    await self.over()

    async def over(self) -> None:
        """Return when the round is over that is under way, or else the next one."""
        await self._over.wait()

    async def _round(self) -> None:
        """Ask each instance that can be reached, those first that nothing is known of."""
        self._began_at = self._clock()
        known = self._fetched
        instances = sorted(self._reachable(), key=lambda one: one.instance_id in known)
        lanes = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for number, instance in enumerate(instances, 1):
                await lanes.acquire()
                task = group.create_task(self._background.step("scrapes", partial(self._fetch, instance)))
                task.add_done_callback(lambda _: lanes.release())
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _fetch(self, instance: Instance) -> None:
        fetched = self._fetched.setdefault(instance.instance_id, _Fetched(0.0))
        fetched.at = self._clock()
        try:
            response = await self._client.request(
                instance.origin, "GET", "/metrics", _HEADERS, timeout_seconds=_ANSWER_SECONDS
            )
            await self._take(instance, fetched, _page(response))
        except (BadResponse, Malformed) as error:
            reason: Refusal = "malformed" if isinstance(error, Malformed) else "bad-answer"
            self._hide(instance, fetched)
            self._carried.complain(instance.agent_id, instance.instance_id, reason, str(error))
        except CallError as error:
            fetched.failures += 1
            if fetched.failures >= _FAILURES:
                self._hide(instance, fetched)
            self._carried.complain(instance.agent_id, instance.instance_id, "no-answer", str(error))

    async def _take(self, instance: Instance, fetched: _Fetched, page: bytes) -> None:
        """Show an instance's page; raises Malformed."""
        fetched.failures = 0
        same = hash(page)
        if fetched.page == same:
            return
        reader = Reader(page, instance.agent_id, instance.instance_id)
        for _ in reader.slices():
            await asyncio.sleep(0)
        if self._registry.instances.get(instance.instance_id) is instance:
            whole = self._carried.put(instance.agent_id, instance.instance_id, reader.families.values())
            fetched.page = same if whole else None  # what stood in the way of a part may go

    def _hide(self, instance: Instance, fetched: _Fetched) -> None:
        fetched.page = None
        self._carried.drop(instance.instance_id)

    def _reachable(self) -> list[Instance]:
        return [one for one in self._registry.instances.values() if one.reachable]

    def _any_unknown(self) -> bool:
        return any(one.instance_id not in self._fetched for one in self._reachable())

    def _departed(self, departure: Departure) -> None:
        self._forget(departure.instance.instance_id)

    def _forget(self, instance_id: str) -> None:
        self._fetched.pop(instance_id, None)
        self._carried.drop(instance_id)


def _page(response: Response) -> bytes:
    """Give the page in an answer; raises BadResponse for what is none."""
    kind = response.header(b"content-type") or b""
    if response.status != _OK:
        raise BadResponse(f"it answered {response.status}")
    if not kind.startswith(_MEDIA_TYPE):
        raise BadResponse(f"it answered {kind[:80]!r}, not OpenMetrics")
    return response.body
