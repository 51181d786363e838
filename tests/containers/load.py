"""A steady load through the manager, at a rate that the test asserts, with an answer for every call."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx

from tests.containers.stack import ManagerClient

WARM_CALLS = 25


class Load:
    """So many calls a second, each begun on time whatever became of those before it."""

    def __init__(self, client: ManagerClient, per_second: float = 50) -> None:
        self._client = client
        self._pause = 1 / per_second
        self.per_second = per_second
        self.answers: list[httpx.Response] = []
        self.broken: list[httpx.HTTPError] = []
        self.begun = 0
        self.seconds = 0.0

    async def during(self, story: Callable[[], Awaitable[None]]) -> None:
        """Call before, while and until the story happens; returns when every call has its answer."""
        begin = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            calling = asyncio.create_task(self._call_on(calls))
            await self._client.until(self._warm, "the load is warm")
            try:
                await story()
            finally:
                calling.cancel()
            self.seconds = time.monotonic() - begin

    def failures(self) -> list[str]:
        """Give what the calls that did not succeed were told."""
        failed = [f"{answer.status_code}: {answer.text}" for answer in self.answers if answer.status_code != 200]
        return failed + [repr(error) for error in self.broken]

    def assert_steady(self) -> None:
        """Refuse to have proved anything at a rate that was not kept up, or with a call unaccounted for."""
        assert self.begun >= 0.8 * self.per_second * self.seconds, f"{self.begun} calls in {self.seconds:.1f} s"
        assert len(self.answers) + len(self.broken) == self.begun

    async def _warm(self) -> bool:
        return len(self.answers) >= WARM_CALLS

    async def _call_on(self, calls: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while True:
            calls.create_task(self._call(self.begun))
            self.begun += 1
            due += self._pause
            await asyncio.sleep(due - time.monotonic())

    async def _call(self, number: int) -> None:
        try:
            self.answers.append(await self._client.steps({"wait": 0.02}, {"calculate": f"{number} + 1"}))
        except httpx.HTTPError as error:
            self.broken.append(error)
