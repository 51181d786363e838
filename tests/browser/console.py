"""A page of the console, as a person uses it, and what it complained of."""

from typing import Any, Final

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.async_api import ConsoleMessage, Locator, Page, TimeoutError, expect  # noqa: A004  # its own

PATIENCE_MS: Final = 40_000
"""The machine is shared: a page that waits for CPU is not wrong."""
_LISTEN: Final = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`csp: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""
_LOADS: Final = 4
_RULES: Final = {"preload": False, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

expect.set_options(timeout=PATIENCE_MS)


class Console:
    """A page. `troubles` is what it wrote as an error: exceptions, and what its policy forbade."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        page.on("console", self._wrote)

    async def open(self, path: str) -> None:
        """Load the page anew at an address of it.

        A network interface that comes or goes on this machine, a container's say, is a change of network to Chromium:
        it drops every request. Where that was in the middle of a page, the page is loaded once more.
        """
        await self.page.add_init_script(_LISTEN)
        for _ in range(_LOADS):
            await self.page.goto(f"{self.url}/{path}")
            try:
                await self.page.wait_for_selector("main", timeout=PATIENCE_MS / _LOADS)
            except TimeoutError:
                continue
            return

    async def live(self) -> None:
        """Wait until the page follows the manager."""
        await expect(self.page.locator(".pulse")).to_contain_text("live")

    async def to(self, path: str) -> None:
        """Go to an address within the page."""
        await self.page.evaluate("(path) => { location.hash = path; }", path)

    def row(self, agent: str) -> Locator:
        """Give an agent's line of the fleet."""
        return self.page.locator(".fleet .rows .line").filter(has=self.page.get_by_role("link", name=agent))

    def button(self, name: str) -> Locator:
        """Give a button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    @property
    def notices(self) -> Locator:
        """The notices in the corner."""
        return self.page.locator(".toast")

    async def order(self, verb: str) -> None:
        """Give an order from an agent's head, and confirm it."""
        await self.page.locator(".orders").get_by_role("button", name=verb, exact=True).click()
        await self.dialog.get_by_role("button", name=verb, exact=True).click()
        await expect(self.dialog).to_be_hidden()

    async def barriers(self) -> list[str]:
        """Give what axe finds: who cannot see, or has no mouse, meets these."""
        found = await Axe().run(self.page, options=_RULES)
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
            for one in found.response["violations"]
            for node in one["nodes"]
        ]

    async def measured(self, name: str) -> list[float]:
        """Give how long each of the page's own measurements of this name took, in milliseconds."""
        durations: list[float] = await self.page.evaluate(
            "(name) => performance.getEntriesByName(name).map((entry) => entry.duration)", name
        )
        return durations

    async def value(self, script: str) -> Any:
        """Give what a script finds in the page."""
        return await self.page.evaluate(script)

    def _wrote(self, message: ConsoleMessage) -> None:
        # an answer that is no success is written by the browser itself, and is what some stories are about
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.troubles.append(f"{message.type}: {message.text}")
