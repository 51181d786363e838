"""What a manager is to its cluster: the API that it watches, and who it is to the other managers."""

import socket
from typing import Final

from agent_contract.identity import new_id

from agent_manager.acting import Member
from agent_manager.agent_client import Origin
from agent_manager.cluster.api import connect
from agent_manager.config import ManagerSettings

_RANDOM_CHARACTERS: Final = 12
"""Of the end of an id: a process that comes after this one in the same pod is another member."""


async def join(settings: ManagerSettings, port: int, *, tls: bool = False) -> Member | None:
    """Give what this manager is to its cluster; None where no cluster runs the agents. It listens at `port`.

    Raises:
        ConfigurationError: there is to be a cluster, and none is found.

    """
    if settings.discovery != "kubernetes":
        return None
    api = await connect(namespace=settings.pod_namespace)
    name = settings.pod_name or socket.gethostname()
    return Member(
        api=api,
        identity=f"{name}_{new_id()[-_RANDOM_CHARACTERS:]}",
        address=None if settings.pod_ip is None else str(Origin(settings.pod_ip, port, tls)),
    )
