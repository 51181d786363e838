"""Pictures of every screen, in light and dark, on a telephone, a laptop and a wall: for people to look at."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from tests.browser.busy_fleet import NAMES, BusyFleet, busy_fleet
from tests.browser.conftest import Opener
from tests.browser.console import Console
from tests.browser.thousand import thousand_agents

SIZES: Final = {375: 812, 1280: 800, 2560: 1440}
SECONDS: Final = float(os.environ.get("PICTURES_SECONDS", "40"))
"""How long the fleet works before it is drawn: the docs' pictures show ten minutes, 600."""
SCREENS: Final = {
    "fleet": ("#/", ".fleet .line a"),
    "agent": ("#/agents/executor", ".charts canvas"),
    "drain": ("#/agents/invoice-reader", ".drain .blocker"),
    "execute": ("#/agents/planner/execute", ".fields"),
    "logs": ("#/agents/planner/logs", ".log-line"),
    "events": ("#/events", ".events li"),
    "wall": ("#/wall", ".tile"),
}


@pytest.fixture(scope="module")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyFleet]:
    """Give a fleet of twelve agents that has worked for a while, with troubles of every kind."""
    del browser
    beats = {"HEARTBEAT_INTERVAL_SECONDS": "2", "REGISTRATION_TTL_SECONDS": "1200"}
    async with busy_fleet(tmp_path_factory.mktemp("stage"), tuple(NAMES), **beats) as busy:
        await busy.second("executor")
        await busy.trouble()
        working = asyncio.create_task(busy.traffic(SECONDS + 600))
        await busy.past()
        await asyncio.sleep(SECONDS)
        await busy.drain(75)
        yield busy
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def drawn(console: Console, folder: Path, name: str) -> None:
    """Keep a picture; nothing may be wider than the window."""
    await console.page.screenshot(path=folder / f"{name}.png")
    width = console.page.viewport_size["width"] if console.page.viewport_size else 0
    assert await console.value("document.documentElement.scrollWidth") <= width


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES)
async def test_a_busy_fleet_of_twelve(
    stage: BusyFleet, open_console: Opener, artefacts: Path, width: int, scheme: str
) -> None:
    """Every screen, and what is asked before an order."""
    size = {"width": width, "height": SIZES[width]}
    console = await open_console(stage.fleet.manager_url, viewport=size, color_scheme=scheme)
    if not await stage.fleet.instances("invoice-reader"):
        await stage.start(("invoice-reader",))
        await stage.drain(75)
    for name in ("drain", *SCREENS):
        path, shown = SCREENS[name]
        await console.to(path)
        await expect(console.page.locator(shown).first).to_be_visible()
        await asyncio.sleep(0.5)  # pictures: let charts and figures arrive
        await drawn(console, artefacts, f"twelve-{name}-{width}-{scheme}")
    await console.to("#/agents/executor")
    await console.page.locator(".orders").get_by_role("button", name="Stop").click()
    await expect(console.dialog).to_contain_text("is cut off")
    await drawn(console, artefacts, f"twelve-order-{width}-{scheme}")


@pytest.mark.timeout(300)
async def test_a_thousand(browser: Browser, tmp_path: Path, open_console: Opener, artefacts: Path) -> None:
    """The fleet and the wall, with some of them in trouble."""
    del browser
    beats = {"HEARTBEAT_INTERVAL_SECONDS": "5", "REGISTRATION_TTL_SECONDS": "120"}
    async with busy_fleet(tmp_path, (), **beats) as busy, thousand_agents(busy.fleet.manager_url) as agents:
        for number in (3, 40, 77):
            agents.agents[number].close()
        for agent in agents.agents[100:130]:
            agent.state = "paused"
        await asyncio.sleep(8)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                size = {"width": width, "height": height}
                console = await open_console(busy.fleet.manager_url, viewport=size, color_scheme=scheme)
                await expect(console.page.locator(".summary")).to_contain_text("1,000")
                await asyncio.sleep(0.5)
                await drawn(console, artefacts, f"thousand-fleet-{width}-{scheme}")
                await console.to("#/wall")
                await expect(console.page.locator(".wall")).to_be_visible()
                await asyncio.sleep(0.5)
                await drawn(console, artefacts, f"thousand-wall-{width}-{scheme}")
                await console.page.close()
