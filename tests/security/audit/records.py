"""A manager with keys of each role and tokens, and what its audit said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from tests.manager.fake_adapter import FakeAdapter
from tests.manager.manager_rig import ManagerRig, running_manager

TOKEN = {"x-manager-token": "shared-secret"}
OWN = {"x-manager-token": "echo-secret"}
VIEWER, OPERATOR, ADMIN = ({"authorization": f"Bearer {role}-key"} for role in ("viewer", "operator", "admin"))


class Audited:
    """A closed manager with its adapter `echo`, and the log lines that it wrote since."""

    def __init__(self, rig: ManagerRig, lines: list[Any], adapter: FakeAdapter) -> None:
        self.rig = rig
        self.client = rig.client
        self.adapter = adapter
        self._lines = lines

    def audits(self, **facts: Any) -> list[dict[str, Any]]:
        """Give the lines of the audit that say this, without level and event."""
        found = [line for line in self._lines if line["event"] == "audit" and line.items() >= facts.items()]
        return [{name: line[name] for name in line if name not in ("event", "log_level")} for line in found]

    async def events(self) -> list[dict[str, Any]]:
        """Give the events that viewers read."""
        answer = await self.client.get("/api/events/recent", headers=VIEWER)
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    async def count(self, action: str, outcome: str) -> float:
        """Give what the counter says."""
        page = (await self.client.get("/metrics?scope=self")).text
        start = f'agent_manager_audit_total{{action="{action}",outcome="{outcome}"}} '
        return float(next(line for line in page.splitlines() if line.startswith(start)).removeprefix(start))


@asynccontextmanager
async def audited(folder: Path, **more: str) -> AsyncIterator[Audited]:
    """Give a manager that asks everyone who they are, with one adapter that registered."""
    (folder / "keys").write_text("vera viewer viewer-key\nola operator operator-key\nada admin admin-key\n")
    (folder / "agents").write_text("echo echo-secret\nother other-secret\n")
    environment = {
        "MANAGER_TOKEN": "shared-secret",
        "MANAGER_AGENT_TOKENS_FILE": str(folder / "agents"),
        "MANAGER_API_KEYS_FILE": str(folder / "keys"),
        **more,
    }
    async with running_manager(environment=environment) as rig:
        rig.client.headers.update(TOKEN)
        adapter = await rig.adapter()
        del rig.client.headers["x-manager-token"]
        with capture_logs() as lines:
            yield Audited(rig, lines, adapter)
