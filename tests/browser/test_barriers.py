"""Nobody is kept out: axe finds nothing on any screen, in light and dark, on a telephone and on a wall."""

import pytest
from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener

SCREENS = {
    "fleet": ("#/", ".fleet .line a"),
    "agent": ("#/agents/planner", ".charts canvas"),
    "execute": ("#/agents/planner/execute", ".fields"),
    "logs": ("#/agents/planner/logs", ".log-line"),
    "events": ("#/events", ".events li"),
    "wall": ("#/wall", ".tile"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_has_no_barrier(harbour: BusyFleet, open_console: Opener, screen: str, scheme: str) -> None:
    """WCAG 2.2 A and AA, and axe's best practices."""
    path, shown = SCREENS[screen]
    console = await open_console(harbour.fleet.manager_url, path, color_scheme=scheme)
    await expect(console.page.locator(shown).first).to_be_visible()
    assert await console.barriers() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_drain_and_a_dialog_have_no_barrier(harbour: BusyFleet, open_console: Opener, scheme: str) -> None:
    """The card with its timeline, and what is asked before an order."""
    task = await harbour.begin("executor", seconds=100)
    await harbour.fleet.act("executor", "stop", timeoutSeconds=200)
    console = await open_console(harbour.fleet.manager_url, "#/agents/executor", color_scheme=scheme)
    await expect(console.page.locator(".blocker")).to_be_visible()
    assert await console.barriers() == []
    await console.page.locator(".drain").get_by_role("button", name="Call it off").click()
    await expect(console.dialog).to_be_visible()
    assert await console.barriers() == []
    await console.dialog.get_by_role("button", name="Call it off").click()
    await expect(console.page.locator(".agent-head .state")).to_have_text("running")
    await harbour.fleet.client.delete(f"/api/agent-services/executor/tasks/{task}")


@pytest.mark.parametrize("width", [320, 375, 1280, 2560])
@pytest.mark.parametrize("screen", SCREENS)
async def test_no_screen_is_wider_than_the_window(
    harbour: BusyFleet, open_console: Opener, screen: str, width: int
) -> None:
    """From 320 px to a wall: nothing is scrolled sideways."""
    path, shown = SCREENS[screen]
    console = await open_console(harbour.fleet.manager_url, path, viewport={"width": width, "height": 800})
    await expect(console.page.locator(shown).first).to_be_visible()
    assert await console.value("document.documentElement.scrollWidth") <= width
