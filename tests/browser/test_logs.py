"""Logs: of all instances, as they come; searched, filtered, paused, downloaded; and harmless."""

import re
from pathlib import Path

from playwright.async_api import expect

from tests.browser.busy_fleet import BusyFleet
from tests.browser.conftest import Opener
from tests.browser.console import Console


async def logs_of(harbour: BusyFleet, open_console: Opener, agent: str) -> Console:
    """Give the page of an agent's logs, once it follows."""
    console: Console = await open_console(harbour.fleet.manager_url, f"#/agents/{agent}/logs")
    await expect(console.page.locator(".log-foot")).to_contain_text("Following")
    return console


async def test_lines_come_as_they_are_written(harbour: BusyFleet, open_console: Opener) -> None:
    """With time, level, instance and the event's own fields; the whole line opens."""
    console = await logs_of(harbour, open_console, "planner")
    await harbour.fleet.execute("planner", None, text="x" * 77)
    line = console.page.locator(".log-line").filter(has_text="characters=77").last
    await expect(line).to_contain_text("asked")
    await expect(line.locator(".level")).to_have_text("info")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", await line.locator("time").text_content() or "")
    await line.click()
    await expect(console.dialog).to_contain_text('"characters": 77')


async def test_levels_and_words_filter_and_what_is_found_is_marked(harbour: BusyFleet, open_console: Opener) -> None:
    """Only those of a level or above; only those with the words."""
    await harbour.fleet.execute("planner", None, text="abc", fail=True)
    console = await logs_of(harbour, open_console, "planner")
    page = console.page
    await page.get_by_label("Level").select_option("3")
    await expect(page.locator(".log-line").first).to_contain_text("the index does not answer")
    assert await page.locator(".log-line.lv-info").count() == 0
    await page.get_by_label("Level").select_option("0")
    await page.get_by_label("Search the lines").fill("does not answer")
    await expect(page.locator("mark").first).to_have_text("does not answer")


async def test_paused_lines_wait_and_are_counted(harbour: BusyFleet, open_console: Opener) -> None:
    """Nothing moves under the eyes of who reads; going on shows them."""
    console = await logs_of(harbour, open_console, "planner")
    await console.page.keyboard.press(" ")
    await harbour.fleet.execute("planner", None, text="y" * 91)
    await expect(console.page.locator(".log-foot")).to_contain_text("1 lines came since")
    await expect(console.page.locator(".log-line").filter(has_text="characters=91")).to_have_count(0)
    await console.page.locator(".log-foot").get_by_role("button", name="Go on").click()
    await expect(console.page.locator(".log-line").filter(has_text="characters=91")).to_have_count(1)


async def test_what_is_shown_is_downloaded(harbour: BusyFleet, open_console: Opener, tmp_path: Path) -> None:
    """As it was written, line for line."""
    await harbour.fleet.execute("planner", None, text="z" * 53)
    console = await logs_of(harbour, open_console, "planner")
    await console.page.get_by_label("Search the lines").fill("characters=53")
    await expect(console.page.locator(".log-line")).to_have_count(1)
    async with console.page.expect_download() as coming:
        await console.button("Download").click()
    download = await coming.value
    await download.save_as(tmp_path / "lines.log")
    assert download.suggested_filename.startswith("planner-")
    assert '"characters":53' in (tmp_path / "lines.log").read_text()


async def test_the_end_is_followed_until_somebody_scrolls_up(harbour: BusyFleet, open_console: Opener) -> None:
    """Also while lines come faster than they are drawn; and again from the end on."""
    for _ in range(40):
        await harbour.fleet.execute("planner", None, text="line")
    console = await logs_of(harbour, open_console, "planner")
    far = (
        "(() => { const e = document.querySelector('.log-lines');"
        " return e.scrollHeight - e.scrollTop - e.clientHeight; })()"
    )
    for _ in range(30):
        await harbour.fleet.execute("planner", None, text="line")
    await expect(console.page.locator(".log-foot")).to_contain_text("Following")
    assert await console.value(far) < 30
    await console.page.locator(".log-lines").hover()
    await console.page.mouse.wheel(0, -300)
    await expect(console.page.locator(".log-foot")).to_contain_text("New lines come below")
    await harbour.fleet.execute("planner", None, text="line")
    assert await console.value(far) > 200
    await console.button("To the end").click()
    await expect(console.page.locator(".log-foot")).to_contain_text("Following")
