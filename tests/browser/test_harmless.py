"""Text is text: whatever an agent calls itself, logs, yields or raises, nothing of it runs or is laid out."""

import json
import subprocess
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from agent_contract.readable import STEERING
from agentctl.parameters import read_parameters
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


async def test_what_happened_and_what_came_of_it_are_text(hostile: BusyFleet, open_console: Opener) -> None:
    """The journal of all and of the agent, the task's line and its dialog, the wall's tile and the page's title."""
    await hostile.fleet.execute("canary", fail=True)
    console = await open_console(hostile.fleet.manager_url, "#/events")
    await expect(console.page.locator("main")).to_contain_text("canary")
    assert await is_harmless(console)
    await console.to("#/agents/canary")
    await expect(console.page.locator(".link.mono").first).to_be_visible()
    await console.page.locator(".link.mono").first.click()
    await expect(console.dialog).to_contain_text("onerror")
    assert await is_harmless(console)
    assert "<" not in await console.value("document.title")


async def test_notices_are_text(hostile: BusyFleet, open_console: Opener) -> None:
    """Those of trouble quote what agents and managers said; where one leads is never what they said."""
    console = await open_console(hostile.fleet.manager_url)
    await console.live()
    await console.page.evaluate(
        f"async (text) => (await import('{await code(console)}/ui/toast.js')).notify(text, {{stays: true}})", CANARY
    )
    await expect(console.notices).to_contain_text(CANARY)
    assert await is_harmless(console)


async def test_what_turns_the_direction_of_writing_turns_itself_alone(hostile: BusyFleet, open_console: Opener) -> None:
    """A name stands isolated, so that what follows it is read as it was written."""
    console = await open_console(hostile.fleet.manager_url)
    await expect(console.row("canary")).to_be_visible()
    kinds = await console.value(
        "[...document.querySelectorAll('main span, main a, main b, main code')]"
        ".map(one => getComputedStyle(one)).filter(style => style.display === 'inline').map(style => style.unicodeBidi)"
    )
    assert set(kinds) <= {"isolate"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"text": "'; touch canary #", "more": "$(touch canary)", "last": "`touch canary`"},
        {"text": "a\x1b[201~\ntouch canary\n\x03\x04\r", "more": "\x9b2J\u202etxet\u200b\U000e0041\x7f"},
        {"'; touch canary; '": 1, "a=b": "c", "-f": "/etc/passwd", "n\nm": [None, {"$(touch canary)": True}]},
        {"plain": 'it\'s "so" \\ and \N{SNOWMAN} \N{PILE OF POO}', "number": 1.5, "yes": True, "list": ["a b"]},
    ],
)
async def test_what_is_copied_is_one_line_that_a_shell_takes_for_the_same_call(
    hostile: BusyFleet, open_console: Opener, tmp_path: Path, parameters: dict[str, Any]
) -> None:
    """Nothing in it runs, and nothing acts on the terminal that it is pasted into, whatever the schema proposes."""
    console = await open_console(hostile.fleet.manager_url)
    for name, key in (("asCurl", "-d"), ("asAgentctl", "-p")):
        line = await console.page.evaluate(
            f"async (given) => (await import('{await code(console)}/execute/copy.js'))"
            f".{name}('planner', given, {{mode: 'follow', key: '', signedIn: true}})",
            parameters,
        )
        assert not STEERING.search(line)
        assert "\n" not in line
        arguments, stdin = typed(line, tmp_path)
        if key == "-d":
            assert json.loads(arguments[arguments.index("-d") + 1]) == {"parameters": parameters}
        elif "-f" in arguments:
            assert json.loads(stdin) == parameters
        else:
            pairs = [value for option, value in pairwise(arguments) if option == "-p"]
            assert read_parameters(pairs, None) == parameters


async def code(console: Console) -> str:
    """Give where the page's modules are."""
    source: str = await console.value("document.querySelector('script[type=module]').src")
    return source.rpartition("/")[0]


def typed(line: str, folder: Path) -> tuple[list[str], str]:
    """Give the arguments that a real shell hands on, and what stands on standard input; it does nothing else."""
    told = "{ printf '%s\\0' \"$@\"; printf '\\0'; case \" $* \" in *' -f - '*) cat;; esac; }"
    script = f"curl() {told}\nagentctl() {told}\n{line}\n"
    run = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert list(folder.iterdir()) == []
    arguments, _, stdin = run.stdout.partition("\0\0")
    return arguments.split("\0"), stdin


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
