"""Following an action to its end."""

import asyncio
from typing import Any

import httpx

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ManagerRig


async def ended(rig: ManagerRig, ordered: httpx.Response) -> Any:
    """Give an action once it is over."""
    async with asyncio.timeout(5):
        while True:
            view = (await rig.client.get(ordered.headers["location"])).json()
            if view["state"] != "running":
                return view
            await rig.manager.registry.changed("echo", 0.05)


async def told(rig: ManagerRig, adapter: FakeAdapter) -> None:
    """Wait until an adapter has got an order."""
    await rig.until(lambda: bool(adapter.actions))


def steps(view: Any) -> list[str]:
    """Give how far an action is with each instance."""
    return [step["state"] for step in view["instances"]]


async def until_steps(rig: ManagerRig, ordered: httpx.Response, *states: str) -> Any:
    """Wait until an action that goes on is that far with its instances; gives it."""
    async with asyncio.timeout(5):
        while True:
            view = (await rig.client.get(ordered.headers["location"])).json()
            if steps(view) == list(states):
                assert view["state"] == "running"
                return view
            await rig.manager.registry.changed("echo", 0.05)
