"""A registry behind the adapter routes."""

from agent_contract.wire import DesiredState, Orders, Registration, State
from agent_manager.agent_client import AgentClient, Origin
from agent_manager.queries import InstanceQueries
from agent_manager.records import Instance
from agent_manager.registrations import Registrations
from agent_manager.service_urls import ServiceUrls

from tests.manager.stage import Stage, agent_of

LOOPBACK = "127.0.0.1"


class Desk(Stage):
    """A registry behind the adapter routes."""

    def __init__(self, client: AgentClient) -> None:
        super().__init__()
        self.idle_closed: list[Origin] = []
        self.picked_at_close: list[Instance | None] = []
        self.probed: list[str] = []
        self.desk = Registrations(
            self.registry,
            ServiceUrls(["10.0.0.0/8"]),
            InstanceQueries(client, lambda *_: [(b"x-manager-token", b"secret")]),
            self.journal,
            came=lambda *_: None,
            close_idle=self._close_idle,
            probe_soon=lambda instance: self.probed.append(instance.instance_id),
            clock=self.clock,
        )

    def _close_idle(self, origin: Origin) -> None:
        self.idle_closed.append(origin)
        self.picked_at_close.append(self.registry.pick("a"))

    async def come(
        self,
        instance_id: str,
        url: str,
        *,
        peer: str = LOOPBACK,
        agent_id: str | None = None,
        status: State = "running",
        desired: DesiredState | None = None,
    ) -> Orders:
        """Register."""
        message = Registration(agent_id or agent_of(instance_id), url, instance_id, None, status, desired)
        return await self.desk.register(message, peer)
