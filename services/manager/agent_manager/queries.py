"""What the manager asks an instance by itself: who it is, and how it is."""

from typing import Any, Final

import msgspec
from agent_contract.wire import Info, Status

from agent_manager.agent_client import AgentClient, CallError, ConnectFailed, Origin
from agent_manager.agent_tokens import Proof

INFO_SECONDS: Final = 1.0
"""How long a newcomer may take to answer for itself."""
STATUS_SECONDS: Final = 0.5
"""How long a probe may take."""
_OK: Final = 200


class QueryFailed(Exception):  # noqa: N818  # what happened
    """An instance gave no answer that says who it is. `refused`: nobody listens there."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class InstanceQueries:
    """Asks instances, and proves to them who asks."""

    def __init__(self, client: AgentClient, proof: Proof) -> None:
        self._client = client
        self._proof = proof
        self._info = msgspec.json.Decoder(Info)
        self._status = msgspec.json.Decoder(Status)

    async def info(self, agent_id: str, origin: Origin, timeout_seconds: float = INFO_SECONDS) -> Info:
        """Give the answer of `GET /info`; raises QueryFailed."""
        answer: Info = await self._ask(agent_id, origin, "/info", self._info, timeout_seconds)
        return answer

    async def status(self, agent_id: str, origin: Origin, timeout_seconds: float = STATUS_SECONDS) -> Status:
        """Give the answer of `GET /status`; raises QueryFailed."""
        answer: Status = await self._ask(agent_id, origin, "/status", self._status, timeout_seconds)
        return answer

    async def _ask(
        self,
        agent_id: str,
        origin: Origin,
        path: str,
        decoder: msgspec.json.Decoder[Any],
        timeout_seconds: float,  # the client's own bound
    ) -> Any:  # noqa: ANN401  # what the decoder gives
        headers = self._proof(agent_id, origin)
        try:
            response = await self._client.request(origin, "GET", path, headers, timeout_seconds=timeout_seconds)
        except CallError as error:
            refused = isinstance(error, ConnectFailed) and error.refused
            reason = f"cannot ask {origin}{path}: it refused the connection" if refused else str(error)
            raise QueryFailed(reason, refused=refused) from error
        if response.status != _OK:
            raise QueryFailed(f"cannot ask {origin}{path}: it answered {response.status}")
        try:
            return decoder.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise QueryFailed(f"cannot read {origin}{path}: {error}") from error
