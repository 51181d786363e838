"""Orders to agents: pause, resume, stop, restart, each with an id that can be followed."""

from agent_manager.actions.action import Action, ActionView, Ordered, Step, merged
from agent_manager.actions.actions import ANYWHERE, Actions

__all__ = ["ANYWHERE", "Action", "ActionView", "Actions", "Ordered", "Step", "merged"]
