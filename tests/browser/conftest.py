"""A real Chromium, and a fleet of real processes that outlives the tests which leave it as it was."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Error, Playwright, async_playwright

from tests.browser.busy_fleet import BusyFleet, busy_fleet
from tests.browser.console import Console

NO_BROWSER = "NO CHROMIUM IS HERE, so that none of the console's stories is told: say which with CHROMIUM=/path"
Opener = Callable[..., Awaitable[Console]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Give asyncio, for fixtures that outlive a test too."""
    return "asyncio"


def _executable() -> str | None:
    """Give the browser that the environment names or Debian has; None for playwright's own."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


async def _launch(playwright: Playwright) -> Browser:
    try:
        return await playwright.chromium.launch(executable_path=_executable(), args=["--no-sandbox"])
    except Error as error:
        if os.environ.get("CI"):
            pytest.fail(f"{NO_BROWSER}: {error}")
        pytest.skip(f"{NO_BROWSER}: {error}")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Give the browser. Where there is none the stories are skipped, and in CI that is a failure."""
    if os.environ.get("TEST_PROFILE") != "full":
        pytest.skip("needs a browser: TEST_PROFILE=full")
    async with async_playwright() as playwright:
        launched = await _launch(playwright)
        yield launched
        await launched.close()


@pytest.fixture(scope="session")
async def harbour(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyFleet]:
    """Give a manager with a planner, an executor and an analyst for all tests that leave them as they were."""
    del browser  # nothing is started where there is none
    async with busy_fleet(tmp_path_factory.mktemp("harbour"), ("planner", "executor", "sql-analyst")) as busy:
        yield busy


@pytest.fixture
async def open_console(browser: Browser) -> AsyncIterator[Opener]:
    """Give what opens a page of the console; at the end no page may have complained of anything."""
    opened: list[Console] = []

    async def open_page(url: str, path: str = "#/", **options: Any) -> Console:
        context = options.pop("context", None) or await browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        )
        console = Console(await context.new_page(), url)
        opened.append(console)
        await console.open(path)
        return console

    yield open_page
    troubles = [trouble for console in opened for trouble in console.troubles]
    for context in {console.page.context for console in opened}:
        await context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Give the folder where pictures are kept, which git does not see."""
    folder = Path(__file__).parent / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder
