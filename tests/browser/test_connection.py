"""The connection: one for all tabs, said to be lost when it is, and back by itself."""

from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.browser.busy_fleet import BusyFleet, busy_fleet
from tests.browser.conftest import Opener

TABS: Final = 5


@pytest.fixture(scope="module")
async def quay(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyFleet]:
    """Give a manager that a test may restart, and a planner."""
    del browser
    async with busy_fleet(tmp_path_factory.mktemp("quay"), ("planner",)) as busy:
        yield busy


async def test_a_lost_connection_is_said_plainly_and_regained_by_itself(quay: BusyFleet, open_console: Opener) -> None:
    """With the time since; afterwards the page shows what is, loaded anew from the manager."""
    console = await open_console(quay.fleet.manager_url)
    await console.live()
    quay.fleet.processes["manager"].kill()
    await quay.fleet.exit_code("manager")
    await expect(console.page.locator(".banner")).to_contain_text("The connection to the manager was lost")
    await expect(console.page.locator(".pulse")).to_contain_text("lost")
    await expect(console.row("planner")).to_be_visible()  # what was known stays
    await quay.fleet.start_manager()
    await console.live()
    await expect(console.page.locator(".banner")).to_be_hidden()
    await expect(console.row("planner").locator(".c-state")).to_have_text("running")


async def test_a_log_that_was_cut_off_goes_on_where_it_was(quay: BusyFleet, open_console: Opener) -> None:
    """No line twice, none missing, also of those that were written meanwhile."""
    console = await open_console(quay.fleet.manager_url, "#/agents/planner/logs")
    lines = console.page.locator(".log-line").filter(has_text="characters=311")
    await quay.fleet.execute("planner", None, text="a" * 311)
    await expect(lines).to_have_count(1)
    [planner] = await quay.fleet.instances("planner")
    quay.fleet.processes["manager"].kill()
    await quay.fleet.exit_code("manager")
    await expect(console.page.locator(".log-foot")).to_contain_text("The stream was lost")
    async with httpx.AsyncClient(base_url=planner["serviceUrl"], trust_env=False) as adapter:
        await adapter.post("/execute", json={"parameters": {"text": "b" * 311}})
    await quay.fleet.start_manager()
    await expect(lines).to_have_count(2)
    await expect(console.page.locator(".log-foot")).to_contain_text("Following")
    await console.live()
    await expect(lines).to_have_count(2)
    await expect(console.page.locator(".gap")).to_have_count(0)


async def test_an_agent_that_goes_down_is_told_of_wherever_one_looks(quay: BusyFleet, open_console: Opener) -> None:
    """In a notice that leads to it, and in the title of a tab that nobody sees; and that it is back."""
    console = await open_console(quay.fleet.manager_url, "#/events")
    await console.live()
    quay.fleet.processes["planner"].kill()
    await quay.fleet.exit_code("planner")
    notice = console.notices.filter(has_text="planner is down")
    await expect(notice).to_be_visible()
    await expect(console.page).to_have_title("(1) Events · Agents")
    await notice.get_by_role("link").click()
    await expect(console.page.get_by_role("heading", level=1)).to_contain_text("planner")
    await quay.start(("planner",))
    await console.to("#/")
    await expect(console.row("planner").locator(".c-state")).to_have_text("running")
    await expect(console.page).to_have_title("Agents")


async def test_many_tabs_share_one_connection(quay: BusyFleet, open_console: Opener, browser: Browser) -> None:
    """Five tabs on a log, and every one of them is live and answers; no page follows the manager by itself.

    A browser has six connections for an origin: with a stream or two for each tab the fourth would hang.
    """
    context = await browser.new_context(reduced_motion="reduce")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    consoles = [
        await open_console(quay.fleet.manager_url, "#/agents/planner/logs", context=context) for _ in range(TABS)
    ]
    for console in consoles:
        await console.page.bring_to_front()
        await console.live()
        await console.to("#/agents/planner")
        await expect(console.page.locator(".instances")).to_contain_text("http://127.0.0.1")
    assert [url for url in asked if url.endswith("/api/console/feed")] == []


async def test_a_browser_without_shared_workers_follows_by_itself(
    quay: BusyFleet, open_console: Opener, browser: Browser
) -> None:
    """Some on telephones have none."""
    context = await browser.new_context()
    await context.add_init_script("delete window.SharedWorker")
    console = await open_console(quay.fleet.manager_url, context=context)
    await console.live()
    await expect(console.row("planner")).to_be_visible()
