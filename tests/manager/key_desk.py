"""Keys in a file, a clock, and the sessions of one manager or of another beside it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent_manager.credentials import Credentials
from agent_manager.sessions import Sessions

from tests.manager.stage import Clock

KEYS = "vera viewer viewer-key\nola operator operator-key\n"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Wall:
    """A clock on the wall, moved by hand."""

    now = NOON

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Desk:
    """Keys in a file, a clock, and the sessions of one manager or of another beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys"
        self.path.write_text(KEYS)
        self.shared = "shared-secret"
        self.clock, self.wall = Clock(), Wall()

    def manager(self) -> Sessions:
        """Give the sessions of a manager that has just come up."""
        environment = {"MANAGER_API_KEYS_FILE": str(self.path)}
        if self.shared:
            environment["MANAGER_TOKEN"] = self.shared
        return Sessions(Credentials(environment, self.clock), self.wall)

    def rewrite(self, keys: str) -> None:
        """Write the keys anew, and let a second pass."""
        self.path.write_text(keys)
        os.utime(self.path, ns=(1, 1))
        self.clock.now += 1
