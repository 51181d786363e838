"""A credential that ends takes with it what it opened: no stream goes on for a reader who may look no more."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from agent_contract.problems import Problem
from agent_manager.handlers import streams
from agent_manager.sessions import LASTS_SECONDS

from tests.manager.key_desk import KEYS, Desk
from tests.manager.manager_rig import ALL, ManagerRig, running_manager

FOLLOWED = (f"{ALL}?watch=true", "/api/events", f"{ALL}/echo/logs?follow=true", "/api/console/feed")
OWN = {"x-requested-with": "agent-console"}
VIEWER = {"authorization": "Bearer viewer-key"}


@pytest.fixture
async def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagerRig]:
    """Give a manager that asks who one is, and asks the readers of its streams 50 times a second."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.02)
    environment = {"MANAGER_API_KEYS_FILE": str(Desk(tmp_path).path), "MANAGER_TOKEN": "shared-secret"}
    async with running_manager(environment=environment) as rig:
        rig.client.headers["x-manager-token"] = "shared-secret"
        await rig.adapter()
        del rig.client.headers["x-manager-token"]
        yield rig


def rewrite(rig: ManagerRig, folder: Path, keys: str) -> None:
    """Write the keys anew, and let the second pass after which the manager looks."""
    (folder / "keys").write_text(keys)
    os.utime(folder / "keys", ns=(1, 1))
    rig.manager.credentials._keys._look_at = -1.0


def begin_reading(rig: ManagerRig, path: str, **headers: str) -> "asyncio.Task[list[str]]":
    """Read a stream to its end and give the names of its events."""

    async def read() -> list[str]:
        async with rig.events(path, **headers) as events:
            return [event.event async for event in events]

    return asyncio.create_task(read())


async def until_followed(rig: ManagerRig, number: int = 1) -> None:
    """Wait until so many streams are open."""
    await rig.until(lambda: _looking() == number)


def _looking() -> int:
    return sum("_look" in repr(task.get_coro()) for task in asyncio.all_tasks())


@pytest.mark.parametrize("path", FOLLOWED)
async def test_a_key_that_leaves_the_file_ends_the_streams_it_opened(
    closed: ManagerRig, tmp_path: Path, path: str
) -> None:
    """And those of another key go on; who asks again is told why."""
    other = begin_reading(closed, path, authorization="Bearer operator-key")
    reading = begin_reading(closed, path, **VIEWER)
    await until_followed(closed, 2)
    rewrite(closed, tmp_path, KEYS.replace("vera viewer viewer-key\n", ""))
    await asyncio.wait_for(reading, 5)
    assert not other.done()
    assert (await closed.client.get(path, headers=VIEWER)).json()["code"] == "unauthenticated"
    rewrite(closed, tmp_path, "nobody viewer other-key\n")
    await asyncio.wait_for(other, 5)


@pytest.mark.parametrize("path", FOLLOWED)
async def test_a_session_that_is_over_ends_the_streams_it_opened(closed: ManagerRig, path: str) -> None:
    """Twelve hours after it began, by the clock of the manager."""
    await closed.client.post("/api/session", json={"key": "viewer-key"})
    reading = begin_reading(closed, path)
    await until_followed(closed)
    sessions, late = closed.manager.sessions, closed.manager.sessions._wall() + timedelta(seconds=LASTS_SECONDS)
    sessions._wall = lambda: late
    await asyncio.wait_for(reading, 5)


@pytest.mark.parametrize("path", FOLLOWED)
async def test_signing_out_ends_the_streams_that_the_session_opened(closed: ManagerRig, path: str) -> None:
    """Also those that a copy of the cookie opened: only the browser forgets a cookie that it is told to forget."""
    await closed.client.post("/api/session", json={"key": "viewer-key"})
    copied = {"cookie": f"agent-manager={closed.client.cookies['agent-manager']}"}
    reading = begin_reading(closed, path, **copied)
    await until_followed(closed)
    assert (await closed.client.delete("/api/session", headers=OWN)).status_code == 204
    names = await asyncio.wait_for(reading, 5)
    assert ("bye" in names) == (path == FOLLOWED[3])
    assert (await closed.client.get(path, headers=copied)).status_code == 401


def test_they_are_asked_often_enough() -> None:
    """With the second after which a file is read again that is under ten."""
    assert streams.LOOK_SECONDS + 1 < 10


async def test_a_reader_who_is_refused_gets_nothing_more_though_it_was_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came while it did not read is not handed over afterwards."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)
    allowed, refused = True, asyncio.Event()

    def check() -> None:
        if not allowed:
            refused.set()
            raise Problem("unauthenticated", "this API key or token is not known")

    async def source() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"secret"

    frames = streams.while_allowed(check, source(), lambda problem: problem.code.encode())
    assert await anext(frames) == b"secret"
    allowed = False
    await refused.wait()  # meanwhile the reader does not read
    assert [frame async for frame in frames] == [b"unauthenticated"]
