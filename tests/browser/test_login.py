"""Signing in: with a key, for as long as it holds, and never more than it allows."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.busy_fleet import BusyFleet, busy_fleet
from tests.browser.conftest import Opener
from tests.browser.console import Console
from tests.system.fleet import Fleet

KEYS = "vera viewer viewer-key\nola operator operator-key\n"


@pytest.fixture(scope="module")
async def keyed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyFleet]:
    """Give a manager that asks who one is, and a planner."""
    del browser
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").write_text(KEYS)
    async with Fleet(folder) as fleet:
        fleet.settings["MANAGER_API_KEYS_FILE"] = str(folder / "keys")
        fleet.settings["MANAGER_TOKEN"] = "shared-secret"  # noqa: S105  # a test's own
        fleet.client.headers["Authorization"] = "Bearer operator-key"
        await fleet.start_manager()
        busy = BusyFleet(fleet)
        await busy.start(("planner",))
        yield busy


async def signed_in(open_console: Opener, busy: BusyFleet, key: str, path: str = "#/") -> Console:
    """Give the page of somebody who gave a key."""
    console: Console = await open_console(busy.fleet.manager_url, path)
    await console.page.get_by_label("API key").fill(key)
    await console.button("Sign in").click()
    await console.live()
    return console


async def test_without_a_session_there_is_a_form_and_nothing_else(keyed: BusyFleet, open_console: Opener) -> None:
    """A wrong key is said to be wrong."""
    console = await open_console(keyed.fleet.manager_url)
    await expect(console.page.get_by_role("heading")).to_have_text("Agents")
    assert await console.page.locator("text=planner").count() == 0
    await console.page.get_by_label("API key").fill("nobody's")
    await console.page.keyboard.press("Enter")
    await expect(console.page.get_by_role("alert")).to_have_text("This key is not known.")


async def test_a_viewer_sees_all_and_is_offered_no_order(keyed: BusyFleet, open_console: Opener) -> None:
    """No button that would be refused; who one is stands in the bar."""
    console = await signed_in(open_console, keyed, "viewer-key", "#/agents/planner")
    await expect(console.page.locator(".account")).to_contain_text("vera")
    await expect(console.page.locator(".account")).to_contain_text("viewer")
    await expect(console.page.locator(".instances")).to_contain_text("running")
    assert await console.page.locator(".orders, .instance-orders").count() == 0
    assert await console.page.get_by_role("link", name="Execute").count() == 0
    await console.to("#/agents/planner/execute")
    await expect(console.page.locator(".empty")).to_contain_text("Who only looks may not call an agent")


async def test_the_key_is_not_in_reach_of_scripts_and_the_session_ends(keyed: BusyFleet, open_console: Opener) -> None:
    """The cookie is HttpOnly and SameSite=Strict; after signing out the form is there again."""
    console = await signed_in(open_console, keyed, "operator-key")
    assert await console.value("document.cookie") == ""
    kept = await console.value("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "operator-key" not in kept
    [cookie] = await console.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["name"]) == (True, "Strict", "agent-manager")
    await console.button("Sign out").click()
    await expect(console.page.get_by_label("API key")).to_be_visible()
    assert await console.page.context.cookies() == []


async def test_an_operator_s_orders_are_known_by_name(keyed: BusyFleet, open_console: Opener) -> None:
    """In the journal, with who gave them."""
    console = await signed_in(open_console, keyed, "operator-key", "#/agents/planner")
    await console.order("Pause")
    await expect(console.page.locator(".events")).to_contain_text("by ola")
    await console.order("Resume")
    await expect(console.page.locator(".agent-head .state")).to_have_text("running")


async def test_the_session_outlives_the_manager_and_ends_with_its_key(keyed: BusyFleet, open_console: Opener) -> None:
    """A restart signs nobody out; a key that is taken from the file does, within seconds."""
    console = await signed_in(open_console, keyed, "operator-key")
    keyed.fleet.processes["manager"].terminate()
    await keyed.fleet.exit_code("manager")
    await expect(console.page.locator(".banner")).to_contain_text("connection to the manager was lost")
    await keyed.fleet.start_manager()
    await console.live()
    path = keyed.fleet.directory / "keys"
    path.write_text(KEYS.replace("operator-key", "another-key"))
    os.utime(path, ns=(1, 1))
    try:
        await expect(console.page.get_by_label("API key")).to_be_visible()
    finally:
        path.write_text(KEYS)
        os.utime(path, ns=(2, 2))
        await asyncio.sleep(1.1)  # the file is looked at each second


async def test_guessing_is_slowed_down(browser: Browser, tmp_path: Path, open_console: Opener) -> None:
    """After ten wrong keys within a minute the right one waits too."""
    del browser
    (tmp_path / "keys").write_text(KEYS)
    async with busy_fleet(tmp_path, (), MANAGER_API_KEYS_FILE=str(tmp_path / "keys")) as busy:
        console = await open_console(busy.fleet.manager_url)
        field = console.page.get_by_label("API key")
        for number in range(11):
            await field.fill(f"guess {number}")
            async with console.page.expect_response("**/api/session"):
                await console.page.keyboard.press("Enter")
            await expect(console.button("Sign in")).to_be_enabled()
            said = "wait" if number == 10 else "This key is not known."
            await expect(console.page.get_by_role("alert")).to_contain_text(said)
