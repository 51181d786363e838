"""The drain card: who holds it, until when, what will be lost, and the means to change that."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser.busy_fleet import NAMES, BusyFleet
from tests.browser.conftest import Opener
from tests.browser.console import Console

NAMES["leaver"] = ("Leaver", "Leaves and comes", "work", 4)


@pytest.fixture
async def leaver(harbour: BusyFleet) -> AsyncIterator[str]:
    """Give an agent that the test may stop; it is there again for the next one."""
    if "leaver" not in harbour.fleet.processes or harbour.fleet.processes["leaver"].poll() is not None:
        await harbour.fleet.start_adapter(
            "leaver", "leaver", ("--entry-point", "busy_agents:work"), AGENT_MAX_CONCURRENCY="4"
        )
    yield "leaver"
    for task in (await harbour.fleet.client.get("/api/agent-services/leaver/tasks?state=running")).json()["tasks"]:
        await harbour.fleet.client.delete(f"/api/agent-services/leaver/tasks/{task['taskId']}")
    await asyncio.to_thread(harbour.fleet.processes["leaver"].poll)


async def draining(harbour: BusyFleet, open_console: Opener, *tasks: float, limit: float) -> tuple[Console, list[str]]:
    """Give the page of the agent that was stopped with these tasks in hand, and their ids."""
    ids = [await harbour.begin("leaver", seconds=seconds) for seconds in tasks]
    console = await open_console(harbour.fleet.manager_url, "#/agents/leaver")
    await console.live()
    answer = await harbour.fleet.act("leaver", "stop", timeoutSeconds=limit)
    assert answer.status_code == 202
    await expect(console.page.locator(".drain")).to_be_visible()
    return console, ids


async def test_a_stop_is_foretold(harbour: BusyFleet, leaver: str, open_console: Opener) -> None:
    """How many tasks run, since when, until when they may; and that nobody is left."""
    for _ in range(3):
        await harbour.fleet.execute(leaver, None, seconds=0.5)
    for seconds in (40, 41, 42):
        await harbour.begin(leaver, seconds=seconds)
    console = await open_console(harbour.fleet.manager_url, "#/agents/leaver")
    await console.live()
    await console.page.locator(".orders").get_by_role("button", name="Stop").click()
    await expect(console.dialog).to_contain_text("3 tasks run")
    await expect(console.dialog).to_contain_text("is cut off")
    await expect(console.dialog).to_contain_text("No instance is left afterwards")
    await console.dialog.get_by_label("5m 00s", exact=True).check()
    await expect(console.dialog).to_contain_text("in 5 min, is cut off")
    await console.dialog.get_by_role("button", name="Leave it as it is").click()
    assert (await harbour.fleet.listing())["leaver"]["state"] == "running"


async def test_the_card_shows_who_holds_it_and_can_call_it_off(
    harbour: BusyFleet, leaver: str, open_console: Opener
) -> None:
    """Each task with its age and its probable end, beside the deadline; then it takes calls again."""
    del leaver
    console, ids = await draining(harbour, open_console, 30, 60, limit=120)
    card = console.page.locator(".drain")
    await expect(card.locator(".blocker")).to_have_count(2)
    for task in ids:
        await expect(card).to_contain_text(task[-8:])
    await expect(card.locator(".verdict-line")).to_contain_text("2 tasks hold it")
    await expect(card).to_contain_text("work would be lost by deleting it")
    await expect(card.locator(".countdown")).to_contain_text("left, until")
    await expect(console.page.locator(".agent-head .state")).to_have_text("draining")
    await card.get_by_role("button", name="Call it off").click()
    await console.dialog.get_by_role("button", name="Call it off").click()
    await expect(console.page.locator(".agent-head .state")).to_have_text("running")
    await expect(card).to_be_hidden()


async def test_a_deadline_that_is_too_near_is_said_and_moved(
    harbour: BusyFleet, leaver: str, open_console: Opener
) -> None:
    """By the tasks' own progress, where the past says nothing; one click gives them what they need."""
    del leaver
    console, _ = await draining(harbour, open_console, 60, limit=25)
    card = console.page.locator(".drain")
    await expect(card.locator(".verdict-line")).to_contain_text("cut off then")
    await card.get_by_role("button", name="all should finish").click()
    await expect(card.locator(".verdict-line")).to_contain_text("nothing is lost")
    before = (await harbour.fleet.instances("leaver"))[0]["drain"]["deadline"]
    await card.get_by_role("button", name="5 min", exact=True).click()

    async def moved() -> bool:
        drain = (await harbour.fleet.instances("leaver"))[0]["drain"]
        return bool(drain["deadline"] > before and drain["remainingSeconds"] > 250)

    await harbour.fleet.until(moved, "the deadline lies five minutes later")
    await card.get_by_role("button", name="Call it off").click()
    await console.dialog.get_by_role("button", name="Call it off").click()
    await expect(card).to_be_hidden()


async def test_the_last_task_is_cancelled_and_the_report_says_what_was_lost(
    harbour: BusyFleet, leaver: str, open_console: Opener
) -> None:
    """Then nothing holds it: it leaves, and the journal has the drain's account."""
    del leaver
    console, _ = await draining(harbour, open_console, 90, limit=120)
    card = console.page.locator(".drain")
    await card.get_by_role("button", name="Cancel", exact=True).click()
    await console.dialog.get_by_role("button", name="Cancel the task").click()
    await expect(console.notices.filter(has_text="is cancelled")).to_be_visible()
    await expect(card).to_be_hidden()
    assert await harbour.fleet.exit_code("leaver") == 0


async def test_a_hurried_drain_cuts_what_is_left(harbour: BusyFleet, leaver: str, open_console: Opener) -> None:
    """After it was said how many tasks that will cost."""
    del leaver
    console, _ = await draining(harbour, open_console, 90, limit=120)
    await console.page.locator(".drain").get_by_role("button", name="Hurry…").click()
    await expect(console.dialog).to_contain_text("1 task will probably be cut off")
    await console.dialog.get_by_role("button", name="Give it 10 s").click()
    await expect(console.page.locator(".countdown b")).to_contain_text("s")
    assert await harbour.fleet.exit_code("leaver") == 0
