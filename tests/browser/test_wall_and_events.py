"""The wall, seen from across the room, and the events of the whole fleet."""

from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener


async def test_the_wall_has_a_tile_for_each_agent(harbour: BusyFleet, open_console: Opener) -> None:
    """With a verdict, the time, and whether it is of now; a paused one says so."""
    await harbour.fleet.act("planner", "pause")
    console = await open_console(harbour.fleet.manager_url, "#/wall", viewport={"width": 1920, "height": 1080})
    await console.live()
    await expect(console.page.get_by_role("heading", level=1)).to_have_text("All is well")
    await expect(console.page.locator(".tile").filter(has_text="planner")).to_contain_text("paused")
    await expect(console.page.locator(".wall-clock time")).to_be_visible()
    await harbour.fleet.act("planner", "resume")
    await expect(console.page.locator(".tile").filter(has_text="planner")).to_contain_text("running")


async def test_a_draining_tile_counts_down(harbour: BusyFleet, open_console: Opener) -> None:
    """And says how many tasks there are to finish."""
    task = await harbour.begin("executor", seconds=100)
    await harbour.fleet.act("executor", "stop", timeoutSeconds=200)
    console = await open_console(harbour.fleet.manager_url, "#/wall")
    tile = console.page.locator(".tile").filter(has_text="executor")
    await expect(tile).to_contain_text("1 task to finish")
    await expect(tile.locator(".tile-drain")).to_contain_text("left")
    await harbour.fleet.client.delete("/api/agent-services/executor/drain")
    await harbour.fleet.client.delete(f"/api/agent-services/executor/tasks/{task}")
    await expect(tile).to_contain_text("running")


async def test_events_come_as_they_happen_and_lead_to_their_agent(harbour: BusyFleet, open_console: Opener) -> None:
    """The last first, filtered by words and kind."""
    console = await open_console(harbour.fleet.manager_url, "#/events")
    await console.live()
    await harbour.fleet.act("planner", "pause")
    await expect(console.page.locator(".events li").filter(has_text="pause-ordered").first).to_be_visible()
    await harbour.fleet.act("planner", "resume")
    await console.page.get_by_label("Kind").select_option("action")
    await console.page.get_by_label("Filter the events").fill("planner resume")
    await expect(console.page.locator(".events li").first).to_contain_text("resume")
    await console.page.locator(".events li a").first.click()
    await expect(console.page.get_by_role("heading", level=1)).to_have_text("planner")
