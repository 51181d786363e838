"""What the connections of one server have in common."""

import asyncio

from uvicorn.server import ServerState


class Shared(ServerState):
    """What the connections of one server share: uvicorn's state, whether answers are the last, who waits for quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.leaving: asyncio.Event | None = None

    def changed(self) -> None:
        """Wake whoever waits to leave."""
        if self.leaving is not None:
            self.leaving.set()
