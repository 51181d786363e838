"""Calling an agent by hand: a form from its schema, what it streams, what became of it, the same as a command."""

import json
import shlex
from typing import Any

from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener
from tests.browser.console import Console


async def page_of(harbour: BusyFleet, open_console: Opener, agent: str, **options: Any) -> Console:
    """Give the page on which an agent is called."""
    console: Console = await open_console(harbour.fleet.manager_url, f"#/agents/{agent}/execute", **options)
    await console.live()
    return console


async def test_the_form_is_that_of_the_agent_s_own_types(harbour: BusyFleet, open_console: Opener) -> None:
    """A field for each parameter, with its type, its choices and its default; the answer stands beside it."""
    console = await page_of(harbour, open_console, "planner")
    page = console.page
    await expect(page.get_by_label("depth")).to_have_value("3")
    await expect(page.get_by_label("style").locator("option")).to_have_text(["long", "short"])
    await expect(page.get_by_label("sources")).to_be_checked()
    await page.get_by_label("text").fill("what holds the drain?")
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator(".run-line")).to_contain_text("succeeded")
    await expect(page.locator(".output .json")).to_contain_text('"answer": "WHAT HOLDS THE DRAIN?"')


async def test_a_field_that_cannot_be_sent_is_named_before_anything_is_sent(
    harbour: BusyFleet, open_console: Opener
) -> None:
    """And what the agent rejects is said with its field."""
    console = await page_of(harbour, open_console, "planner")
    page = console.page
    await page.get_by_label("depth").fill("a few")
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator("#field-depth-error")).to_have_text("this is no number")
    await page.get_by_label("depth").fill("3")
    await page.get_by_role("button", name="JSON", exact=True).click()
    await page.get_by_label("A JSON object").fill('{"text": "x", "depth": "three"}')
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator(".problem")).to_contain_text("bad-parameters")
    await expect(page.locator(".problem code")).to_have_text("parameters.depth")


async def test_chunks_come_as_the_agent_yields_them(harbour: BusyFleet, open_console: Opener) -> None:
    """Before the result is there; an agent without a schema takes JSON."""
    console = await page_of(harbour, open_console, "sql-analyst")
    page = console.page
    await page.get_by_label("A JSON object").fill('{"chunks": 4, "seconds": 0.7}')
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator(".chunks")).to_contain_text('{"token":0}')
    await expect(page.locator(".run-line")).to_contain_text("running")
    await expect(page.locator(".run-line")).to_contain_text("succeeded")
    await expect(page.locator(".chunks")).to_contain_text('{"token":3}')


async def test_a_call_is_cancelled(harbour: BusyFleet, open_console: Opener) -> None:
    """The task is, not only the page's interest in it."""
    console = await page_of(harbour, open_console, "executor")
    page = console.page
    await page.get_by_label("A JSON object").fill('{"seconds": 100}')
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator(".run-line")).to_contain_text("task")
    await page.locator(".run-line").get_by_role("button", name="Cancel").click()
    await expect(page.locator(".run-line")).to_contain_text("cancelled")
    running = await harbour.fleet.client.get("/api/agent-services/executor/tasks?state=running")
    assert running.json()["tasks"] == []


async def test_a_call_in_the_background_is_followed_to_its_result(harbour: BusyFleet, open_console: Opener) -> None:
    """202 at once, then its progress, then what came of it."""
    console = await page_of(harbour, open_console, "executor")
    page = console.page
    await page.get_by_label("A JSON object").fill('{"seconds": 3, "say": "halfway"}')
    await page.get_by_label("In the background").check()
    await page.get_by_role("button", name="Execute", exact=True).click()
    await expect(page.locator(".output")).to_contain_text("halfway")
    await expect(page.locator(".run-line")).to_contain_text("succeeded")
    await expect(page.locator(".output .json")).to_contain_text('"pages": 100')


async def test_the_call_is_copied_for_a_command_line(harbour: BusyFleet, open_console: Opener) -> None:
    """As curl and as agentctl, quoted so that a shell gives back what was typed."""
    console = await page_of(harbour, open_console, "planner", permissions=["clipboard-read", "clipboard-write"])
    page = console.page
    await page.get_by_label("text").fill('it\'s $HOME; `date` & "more"')
    await page.get_by_role("button", name="curl").click()
    await expect(console.notices).to_contain_text("Copied")
    curl = shlex.split(await console.value("navigator.clipboard.readText()"))
    assert curl[0] == "curl"
    assert json.loads(curl[curl.index("-d") + 1])["parameters"]["text"] == 'it\'s $HOME; `date` & "more"'
    await page.get_by_role("button", name="agentctl").click()
    await expect(console.notices.filter(has_text="agentctl")).to_be_visible()
    agentctl = shlex.split(await console.value("navigator.clipboard.readText()"))
    assert agentctl[:3] == ["agentctl", "execute", "planner"]
    assert 'text=it\'s $HOME; `date` & "more"' in agentctl
    assert "depth:=3" in agentctl
