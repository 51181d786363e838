"""One agent: what it does, what an order will come to, and who ordered what."""

import pytest
from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener
from tests.browser.console import Console


@pytest.fixture
async def planner(harbour: BusyFleet, open_console: Opener) -> Console:
    """Give the page of the planner."""
    console = await open_console(harbour.fleet.manager_url, "#/agents/planner")
    await console.live()
    return console


async def test_running_tasks_show_age_and_progress_and_can_be_cancelled(
    harbour: BusyFleet, open_console: Opener
) -> None:
    """With what the agent itself says of how far it is."""
    console = await open_console(harbour.fleet.manager_url, "#/agents/executor")
    task = await harbour.begin("executor", seconds=100, say="page 7 of 9")
    line = console.page.locator(".task").filter(has_text=task[-8:])
    await expect(line).to_contain_text("page 7 of 9")
    await expect(line.locator(".task-age")).to_contain_text("s")
    await expect(line.get_by_role("progressbar")).to_be_attached()
    await line.get_by_role("button", name="Cancel").click()
    await expect(console.dialog).to_contain_text("409 agent-cancelled")
    await console.dialog.get_by_role("button", name="Cancel the task").click()
    ended = console.page.locator(".ended li").filter(has_text=task[-8:])
    await expect(ended).to_contain_text("cancelled")


async def test_an_ended_task_shows_its_result_and_a_failed_one_its_problem(
    harbour: BusyFleet, planner: Console
) -> None:
    """Asked for when somebody wants it."""
    good = (await harbour.fleet.execute("planner", None, text="hello")).json()["taskId"]
    bad = (await harbour.fleet.execute("planner", None, text="hello", fail=True)).headers["x-task-id"]
    await planner.page.locator(".ended li").filter(has_text=good[-8:]).get_by_role("button").click()
    await expect(planner.dialog).to_contain_text('"answer": "HELLO"')
    await planner.page.keyboard.press("Escape")
    await planner.page.locator(".ended li").filter(has_text=bad[-8:]).get_by_role("button").click()
    await expect(planner.dialog).to_contain_text("the index does not answer")


async def test_instances_and_configuration_are_told(planner: Console) -> None:
    """Where it is, what it runs with; and nothing of its environment."""
    instances = planner.page.locator(".instances")
    await expect(instances).to_contain_text("http://127.0.0.1:")
    await expect(instances).to_contain_text("registration")
    facts = planner.page.get_by_role("region", name="Configuration")
    await expect(facts).to_contain_text("PlannerAgent")
    await expect(facts).to_contain_text("1.4.0")
    await planner.page.get_by_text("Parameters (JSON Schema)").click()
    await expect(facts).to_contain_text('"depth"')


async def test_charts_draw_ten_minutes(planner: Console) -> None:
    """Three of them, with their last numbers beside."""
    await expect(planner.page.locator(".charts canvas")).to_have_count(3)
    await expect(planner.page.locator(".charts .legend").first).to_contain_text("in hand")


async def test_pause_says_what_it_does_and_the_journal_who_did_it(harbour: BusyFleet, open_console: Opener) -> None:
    """Before it is given; and it can be taken back."""
    console = await open_console(harbour.fleet.manager_url, "#/agents/executor")
    await console.live()
    task = await harbour.begin("executor", seconds=50)
    await console.page.locator(".orders").get_by_role("button", name="Pause").click()
    await expect(console.dialog).to_contain_text("1 task runs")
    await expect(console.dialog).to_contain_text("New calls are refused with 409 until it is resumed")
    await console.page.keyboard.press("Escape")
    assert (await harbour.fleet.listing())["executor"]["state"] == "running"
    await console.order("Pause")
    await expect(console.page.locator(".agent-head .state")).to_have_text("paused")
    await expect(console.page.locator(".events")).to_contain_text("pause-ordered")
    await expect(console.page.locator(".orders").get_by_role("button", name="Pause")).to_be_disabled()
    await console.order("Resume")
    await expect(console.page.locator(".agent-head .state")).to_have_text("running")
    await harbour.fleet.client.delete(f"/api/agent-services/executor/tasks/{task}")


async def test_a_restart_is_followed_to_its_end(harbour: BusyFleet, open_console: Opener) -> None:
    """The idle instance leaves, another comes, and the page says so."""
    console = await open_console(harbour.fleet.manager_url, "#/agents/sql-analyst")
    await console.live()
    before = await console.page.locator(".instances .mono").first.get_attribute("title")
    await console.page.locator(".orders").get_by_role("button", name="Restart").click()
    await expect(console.dialog).to_contain_text("Nothing runs: it leaves within a moment, and nothing is lost.")
    await console.dialog.get_by_role("button", name="Restart").click()
    await expect(console.page.locator(".instances .mono").first).not_to_have_attribute("title", before or "")
    await expect(console.page.locator(".report")).to_contain_text("0 were cut")
    await expect(console.page.locator(".events")).to_contain_text("restart-succeeded")


async def test_an_unknown_agent_is_said_to_be_unknown(harbour: BusyFleet, open_console: Opener) -> None:
    """An address that somebody kept from last year leads somewhere sensible."""
    console = await open_console(harbour.fleet.manager_url, "#/agents/nobody")
    await expect(console.page.get_by_role("heading")).to_have_text("There is no agent nobody")


async def test_the_space_bar_presses_what_has_the_focus(planner: Console) -> None:
    """Everything works by keyboard alone: the focus is back where it was once the dialog is closed."""
    button = planner.page.locator(".orders").get_by_role("button", name="Pause")
    await button.focus()
    await planner.page.keyboard.press(" ")
    await expect(planner.dialog).to_contain_text("Pause planner?")
    await expect(planner.dialog.get_by_role("button", name="Leave it as it is")).to_be_focused()
    await planner.page.keyboard.press("Escape")
    await expect(button).to_be_focused()
