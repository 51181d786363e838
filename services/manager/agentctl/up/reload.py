"""`agentctl up --reload`: an agent whose files change drains and starts anew, the others work on."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentctl.up.keeper import Keeper
from agentctl.up.sources import files_of
from agentctl.up.stream import Stream

_POLL_SECONDS: Final = 0.5

Stamp = tuple[int, int]


class Reloader:
    """Compares the files of each agent with what they were, twice a second."""

    def __init__(self, keepers: Sequence[Keeper], stream: Stream, base: Path | None = None) -> None:
        self._keepers = keepers
        self._stream = stream
        self._base = base or Path.cwd()
        self._seen: dict[str, dict[Path, Stamp]] = {one.program.name: self._stamps(one) for one in keepers}

    async def run(self) -> None:
        """Look and replace, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self.look()

    def look(self) -> None:
        """Replace each agent of which a file has changed, appeared or vanished since the last look."""
        for keeper in self._keepers:
            name = keeper.program.name
            now = self._stamps(keeper)
            changed = sorted({path for path, _ in now.items() ^ self._seen[name].items()})
            self._seen[name] = now
            if changed:
                shown = ", ".join(os.path.relpath(path, self._base) for path in changed[:3])
                self._stream.say(f"{name}: {shown} changed; draining it and starting it anew")
                keeper.replace()

    def _stamps(self, keeper: Keeper) -> dict[Path, Stamp]:
        agent = keeper.program.agent
        if agent is None:
            return {}
        return {path: stamp for path in files_of(agent, self._base) if (stamp := _stamp(path)) is not None}


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size)
