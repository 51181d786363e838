"""The command line of managers and agents: `agentctl`."""

__version__ = "0.1.0"
