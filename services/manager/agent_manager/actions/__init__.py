"""Orders to agents: pause, resume, stop, restart, each with an id that can be followed."""

from agent_manager.actions.action import Action, ActionView, Ordered, Step
from agent_manager.actions.actions import Actions

__all__ = ["Action", "ActionView", "Actions", "Ordered", "Step"]
