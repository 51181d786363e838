"""A steady load through the manager, at a rate that the test asserts, with an answer for every call."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.system.manager_client import ManagerClient

WARM_CALLS = 25
PATIENCE_SECONDS = 60
Story = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call was told."""

    status: int
    headers: dict[str, str]
    body: str


class Load:
    """So many calls a second, each begun on time whatever became of those before it, on a connection of its own.

    The client is a bare socket: hundreds of calls wait at a time, and the machine is to be busy with other things.
    """

    def __init__(self, client: ManagerClient, per_second: float = 50) -> None:
        self._client = client
        self._host, self._port = client.host, client.port
        self._pause = 1 / per_second
        self.per_second = per_second
        self.replies: list[Reply] = []
        self.broken: list[Exception] = []
        self.begun = 0
        self.seconds = 0.0

    async def during(self, story: Callable[[], Awaitable[None]]) -> None:
        """Call before, while and until the story happens; returns when every call has its answer."""
        async with asyncio.TaskGroup() as calls:
            begin = time.monotonic()
            calling = asyncio.create_task(self._call_on(calls))
            try:
                await self._client.until(self._warm, "the load is warm")
                await story()
            finally:
                calling.cancel()
                self.seconds = time.monotonic() - begin

    def failures(self) -> list[str]:
        """Give what the calls that did not succeed were told."""
        failed = [f"{reply.status}: {reply.body}" for reply in self.replies if reply.status != 200]
        return failed + [repr(error) for error in self.broken]

    def assert_steady(self) -> None:
        """Refuse to have proved anything at a rate that was not kept up, or with a call unaccounted for."""
        assert self.begun >= 0.9 * self.per_second * self.seconds, f"{self.begun} calls in {self.seconds:.1f} s"
        assert len(self.replies) + len(self.broken) == self.begun

    async def _warm(self) -> bool:
        return len(self.replies) >= WARM_CALLS

    async def _call_on(self, calls: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while True:
            calls.create_task(self._call(self.begun))
            self.begun += 1
            due += self._pause
            await asyncio.sleep(due - time.monotonic())

    async def _call(self, number: int) -> None:
        parameters = {"steps": [{"wait": 0.02}, {"calculate": f"{number} + 1"}]}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reply = await self._post("/api/agent-services/executor/execute", {"parameters": parameters})
            if reply.status == 200:
                assert json.loads(reply.body)["result"]["results"][1] == {"value": number + 1}
        except (OSError, TimeoutError, ValueError, IndexError, AssertionError) as error:
            self.broken.append(error)
        else:
            self.replies.append(reply)

    async def _post(self, path: str, body: object) -> Reply:
        content = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
            writer.write(head.encode() + content)
            answer, _, text = (await reader.read()).decode().partition("\r\n\r\n")
        finally:
            writer.close()
        first, *lines = answer.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Reply(int(first.split()[1]), headers, text)


async def under_load(client: ManagerClient, story: Story) -> Load:
    """Tell a story under load; no call fails, and the manager counted each of them once, as its caller did."""
    before = await client.metric("agent_manager_forward_requests_total", agent="executor")
    cut = await client.metric("agent_manager_drain_tasks_cut_total", agent="executor")
    load = Load(client)
    await load.during(story)
    load.assert_steady()
    assert load.failures() == []
    assert len({reply.headers["x-task-id"] for reply in load.replies}) == load.begun
    assert await client.metric("agent_manager_forward_requests_total", agent="executor") - before == load.begun
    assert await client.metric("agent_manager_drain_tasks_cut_total", agent="executor") == cut
    return load
