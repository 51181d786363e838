"""Text is text: whatever an agent calls itself, logs, yields or raises, nothing of it runs or is laid out."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.browser.busy_fleet import BusyFleet, busy_fleet
from tests.browser.conftest import Opener
from tests.browser.console import Console

CANARY: Final = "<img src=x onerror=window.canary=1><script>window.canary=1</script>\"'><b>bold</b>"
AGENT: Final = """
import logging
CANARY = {canary!r}
log = logging.getLogger("canary")


async def speak(parameters, context):
    context.report_progress(0.5, CANARY)
    log.warning(CANARY, extra={{"field": CANARY}})
    log.error("\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07 \\x08\\x08 \\u202etxet")
    print(CANARY)
    yield CANARY
    if parameters.get("fail"):
        raise RuntimeError(CANARY)
    yield {{CANARY: [CANARY]}}
"""


@pytest.fixture(scope="module")
async def hostile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyFleet]:
    """Give an agent whose every word is markup."""
    del browser
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(AGENT.format(canary=CANARY))
    async with busy_fleet(folder, ()) as busy:
        await busy.fleet.start_adapter(
            "canary",
            "canary",
            ("--entry-point", "hostile:speak"),
            AGENT_NAME=CANARY,
            AGENT_DESCRIPTION=CANARY,
            AGENT_VERSION=CANARY,
        )
        yield busy


async def is_harmless(console: Console) -> bool:
    """Tell whether nothing of it ran, and nothing of it became an element."""
    found: dict[str, Any] = await console.value(
        "({ran: window.canary, images: document.images.length, bold: document.querySelectorAll('main b').length,"
        " scripts: document.scripts.length,"
        " marked: [...document.querySelectorAll('b')].some(b => b.textContent === 'bold')})"
    )
    return found.get("ran") is None and found["images"] == 0 and found["scripts"] == 3 and not found["marked"]


async def test_names_and_descriptions_are_text(hostile: BusyFleet, open_console: Opener) -> None:
    """In the fleet, on the wall, and on the agent's own page."""
    console = await open_console(hostile.fleet.manager_url)
    await expect(console.row("canary").locator(".name")).to_have_text(CANARY)
    assert await is_harmless(console)
    await console.to("#/wall")
    await expect(console.page.locator(".tile")).to_be_visible()
    assert await is_harmless(console)
    await console.to("#/agents/canary")
    await expect(console.page.locator(".agent-head .about")).to_contain_text(CANARY)
    await expect(console.page.get_by_role("region", name="Configuration")).to_contain_text(CANARY)
    assert await is_harmless(console)


async def test_chunks_results_and_problems_are_text(hostile: BusyFleet, open_console: Opener) -> None:
    """Also the keys of objects."""
    console = await open_console(hostile.fleet.manager_url, "#/agents/canary/execute")
    await console.page.get_by_role("button", name="Execute", exact=True).click()
    await expect(console.page.locator(".chunks")).to_contain_text("onerror")
    await expect(console.page.locator(".run-line")).to_contain_text("succeeded")
    assert await is_harmless(console)
    await console.page.get_by_label("A JSON object").fill('{"fail": true}')
    await console.page.get_by_role("button", name="Execute", exact=True).click()
    await expect(console.page.locator(".problem")).to_contain_text(CANARY)
    assert await is_harmless(console)


async def test_log_lines_are_text_without_what_a_terminal_obeys(hostile: BusyFleet, open_console: Opener) -> None:
    """Colours and titles are dropped, other controls become visible signs, nothing runs backwards."""
    await hostile.fleet.execute("canary")
    console = await open_console(hostile.fleet.manager_url, "#/agents/canary/logs")
    line = console.page.locator(".log-line.lv-error").last
    await expect(line).to_contain_text("red  ␈␈ \ufffdtxet")
    await expect(console.page.locator(".log-line.lv-warning").last).to_contain_text(CANARY)
    await console.page.locator(".log-line.lv-warning").last.click()
    await expect(console.dialog).to_contain_text("onerror")
    assert await is_harmless(console)


async def test_an_address_is_not_a_way_in(hostile: BusyFleet, open_console: Opener) -> None:
    """What stands after the `#` is text too."""
    console = await open_console(hostile.fleet.manager_url, "#/agents/" + "%3Cimg%20src%3Dx%20onerror%3Dcanary%3D1%3E")
    await expect(console.page.get_by_role("heading")).to_contain_text("<img src=x")
    assert await is_harmless(console)


async def test_the_policy_forbids_what_the_page_does_not_need(hostile: BusyFleet, open_console: Opener) -> None:
    """Inline code, inline style, markup from text, other origins: each is refused by the browser itself."""
    console = await open_console(hostile.fleet.manager_url)
    await console.live()
    refused = await console.value("""async () => {
      const found = [];
      const attempt = async (name, act) => { try { await act(); } catch (error) { found.push(name); } };
      addEventListener("securitypolicyviolation", (event) => found.push(event.violatedDirective));
      await attempt("markup", () => { document.createElement("div").innerHTML = "<b>x</b>"; });
      await attempt("elsewhere", () => fetch("http://127.0.0.1:9/"));
      const script = document.createElement("script");
      await attempt("text", () => { script.textContent = "window.canary = 1"; document.head.append(script); });
      document.body.setAttribute("style", "color: red");
      await new Promise((resolve) => setTimeout(resolve, 100));
      script.remove();
      document.body.removeAttribute("style");
      return found;
    }""")
    console.troubles.clear()  # what was provoked here
    assert {"markup", "elsewhere", "text", "style-src-attr"} <= set(refused)
    assert await console.value("window.canary") is None
