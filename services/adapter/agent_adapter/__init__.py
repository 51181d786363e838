"""One agent, one process, one life: an HTTP service that speaks for the agent and drains when told to leave."""

from agent_contract import __version__

from agent_adapter.errors import AgentError

__all__ = ["AgentError", "__version__"]
