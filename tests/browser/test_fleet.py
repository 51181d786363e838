"""The fleet: who is there, who needs somebody, and how one finds an agent among many."""

from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener


async def test_every_agent_has_a_line_with_what_it_does(harbour: BusyFleet, open_console: Opener) -> None:
    """State, instances, work in hand, rate, and where it came from."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    line = console.row("planner")
    await expect(line.locator(".c-state")).to_have_text("running")
    await expect(line.locator(".c-agent")).to_contain_text("PlannerAgent")
    await expect(line.locator(".c-agent")).to_contain_text("Makes a goal into ordered steps")
    await expect(line.locator(".c-instances")).to_have_text("1/1")
    await expect(line.locator(".c-running")).to_contain_text("0/4")
    await expect(line.locator(".c-source")).to_have_text("registered")
    await expect(line.locator(".c-seen")).to_have_text("now")
    await expect(console.page).to_have_title("Agents")


async def test_work_in_hand_is_seen_as_it_begins_and_ends(harbour: BusyFleet, open_console: Opener) -> None:
    """Without loading anything again."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    number = console.row("executor").locator(".c-running .number")
    await expect(number).to_have_text("0/6")
    task = await harbour.begin("executor", seconds=60)
    await expect(number).to_have_text("1/6")
    await harbour.fleet.client.delete(f"/api/agent-services/executor/tasks/{task}")
    await expect(number).to_have_text("0/6")


async def test_calls_make_a_rate_a_share_of_errors_and_a_line(harbour: BusyFleet, open_console: Opener) -> None:
    """From what the manager sampled, also before the page was opened."""
    for number in range(12):
        await harbour.fleet.execute("planner", None, text="a", fail=number % 4 == 0)
    console = await open_console(harbour.fleet.manager_url)
    line = console.row("planner")
    await expect(line.locator(".c-rate .number")).not_to_have_text("0")
    await expect(line.locator(".c-errors .number")).to_contain_text("%")
    await expect(line.locator(".c-p95 .number")).to_contain_text("s")
    assert await line.locator(".c-rate .spark .stroke").get_attribute("d")


async def test_words_and_states_filter(harbour: BusyFleet, open_console: Opener) -> None:
    """Words that must all be there, in id, name or description; a state by its button."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    await expect(console.page.locator(".fleet .rows .line")).to_have_count(3)
    await console.page.get_by_label("Filter the agents").fill("goal steps")
    await expect(console.page.locator(".fleet .rows .line")).to_have_count(1)
    await expect(console.page.locator(".tools [role=status]")).to_have_text("1 of 3")
    await console.page.keyboard.press("Escape")
    await expect(console.page.locator(".fleet .rows .line")).to_have_count(3)
    await console.page.get_by_label("Filter the agents").fill("no such agent")
    await console.button("Show all").click()
    await expect(console.page.locator(".fleet .rows .line")).to_have_count(3)


async def test_columns_sort_both_ways(harbour: BusyFleet, open_console: Opener) -> None:
    """And say so to those who hear the page."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    names = console.page.locator(".fleet .c-agent a b")
    head = console.page.get_by_role("columnheader", name="Agent")
    await head.get_by_role("button").click()
    await expect(names).to_have_text(["executor", "planner", "sql-analyst"])
    await expect(head).to_have_attribute("aria-sort", "ascending")
    await head.get_by_role("button").click()
    await expect(names).to_have_text(["sql-analyst", "planner", "executor"])
    await expect(head).to_have_attribute("aria-sort", "descending")


async def test_groups_have_headings_with_numbers(harbour: BusyFleet, open_console: Opener) -> None:
    """By state, by source, by node, by the first word of the name."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    await console.page.get_by_label("Group").select_option("name")
    await expect(console.page.locator(".fleet h2")).to_have_text(["executor", "planner", "sql"])
    await console.page.get_by_label("Group").select_option("state")
    await expect(console.page.locator(".fleet h2")).to_have_text(["running"])
    await expect(console.page.locator(".fleet .group .muted")).to_have_text("3")


async def test_keys_lead_through_the_list(harbour: BusyFleet, open_console: Opener) -> None:
    """`/` to the filter, `j` and `k` along the lines, Enter into one, `u` back."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    page = console.page
    await page.keyboard.press("/")
    await expect(page.get_by_label("Filter the agents")).to_be_focused()
    await page.keyboard.type("e")  # a key in a field writes
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await expect(page.locator(".line.current a")).to_be_focused()
    first = await page.locator(".line.current b").first.text_content()
    await page.keyboard.press("j")
    await expect(page.locator(".line.current b").first).not_to_have_text(first or "")
    await page.keyboard.press("k")
    await expect(page.locator(".line.current b").first).to_have_text(first or "")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(first or "")
    await page.keyboard.press("u")
    await expect(page.locator(".fleet")).to_be_visible()


async def test_the_question_mark_opens_the_keys_and_escape_closes_them(
    harbour: BusyFleet, open_console: Opener
) -> None:
    """The focus is in the dialog meanwhile, and back afterwards."""
    console = await open_console(harbour.fleet.manager_url)
    await console.live()
    await console.page.keyboard.press("?")
    await expect(console.dialog).to_contain_text("to the filter")
    assert await console.value("document.querySelector('dialog').contains(document.activeElement)")
    await console.page.keyboard.press("Escape")
    await expect(console.dialog).to_be_hidden()
