"""Calls that come while those held are worked off."""

import asyncio

from tests.manager.fake_adapter import Call, FakeAdapter
from tests.manager.manager_rig import ManagerRig, running_manager


async def test_a_newcomer_waits_behind_the_calls_that_are_held(rig: ManagerRig) -> None:
    """The instance that is back is full with those who waited: who comes now waits too, instead of being refused."""
    old = await rig.adapter()
    await rig.unregister(old)
    waiting = [asyncio.create_task(rig.execute()) for _ in range(2)]
    await rig.until(lambda: rig.manager.dispatcher.held_calls == 2)
    place, release = asyncio.Semaphore(1), asyncio.Event()

    async def one_at_a_time(arrived: Call) -> None:
        if place.locked():
            await arrived.refuse("at-capacity")
            return
        async with place:
            await release.wait()
            await arrived.answer()

    new = await FakeAdapter("echo").start()
    new.execute = one_at_a_time
    await rig.register(new)
    await new.arrival(2)
    newcomer = asyncio.create_task(rig.execute())
    await new.arrival(3)
    await rig.until(lambda: rig.manager.dispatcher.held_calls == 2)
    release.set()
    assert [answer.status_code for answer in await asyncio.gather(*waiting, newcomer)] == [200, 200, 200]
    await new.stop()


async def test_nobody_waits_for_longer_than_those_that_were_held() -> None:
    """When their time is over a full agent is a full agent again: the client hears so at once."""
    async with running_manager(hold_seconds=0.5) as rig:
        old = await rig.adapter()
        await rig.unregister(old)
        waiting = asyncio.create_task(rig.execute())
        await rig.until(lambda: rig.manager.dispatcher.held_calls == 1)
        new = await rig.adapter()
        assert (await waiting).status_code == 200
        new.execute = lambda arrived: arrived.refuse("at-capacity")
        assert (await rig.execute()).json()["code"] == "at-capacity"
        async with asyncio.timeout(0.3):
            assert (await rig.execute()).json()["code"] == "at-capacity"
