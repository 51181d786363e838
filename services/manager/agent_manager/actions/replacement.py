"""What is waited for after an order that Kubernetes carries out: pods that leave, and pods that come in their place.

Nothing is told to a pod: the kubelet ends it with SIGTERM and its adapter drains.
"""

from collections.abc import Hashable
from typing import Final

from agent_manager.actions.action import Action, Step, error
from agent_manager.actions.following import Wanted
from agent_manager.actions.orders import Orders
from agent_manager.actions.places import Place, fresh_places, is_up
from agent_manager.records import AgentRecord, Instance

_LOST: Final = error("unavailable", "it was lost: its last word did not come")


class Stop:
    """Every pod of a stopped agent leaves."""

    def __init__(self, action: Action, places: list[Place], wanted: list[Wanted], orders: Orders) -> None:
        self._action = action
        self._steps = list(zip(action.steps, places, strict=True))
        self._wanted = wanted
        self._orders = orders

    def look(self, record: AgentRecord) -> bool:
        """Note who left; one whose last word did not come has failed."""
        for step, place in self._steps:
            if place.pod is None or step.over:
                continue  # it was told itself, and is waited for there
            if place.pod.uid in record.pods:
                _drains(step, record, place)
            else:
                self._left(step)
        for wanted in self._wanted:
            now = wanted.seen(record)
            if now is not None and now.generation > wanted.generation and now.replicas > 0:
                detail = f"{wanted.workload.title} was scaled to {now.replicas} by somebody else"
                self._action.give_up(error("unavailable", detail))
        told = all(one.is_gone(record) or one.seen(record) is not None for one in self._wanted)
        return told and all(step.over for step, _ in self._steps)

    def progress(self, record: AgentRecord) -> Hashable:
        """Give who is still there."""
        return frozenset(record.pods), tuple(step.state for step, _ in self._steps)

    def missing(self) -> str:
        """Say what did not come to pass."""
        return "its pod did not go"

    def _left(self, step: Step) -> None:
        departure = self._orders.departure(step.instance_id)
        if departure is not None and departure.outcome == "lost":
            step.fail(_LOST)
        else:
            step.state = "done"


class Start:
    """As many instances as were asked for run, or are paused where they are to be."""

    def __init__(self, action: Action, wanted: list[Wanted], old: frozenset[str]) -> None:
        self._action = action
        self._wanted = wanted
        self._old = old
        self._missing = 0

    def look(self, record: AgentRecord) -> bool:
        """Note who came."""
        need = 0
        for wanted in self._wanted:
            now = wanted.seen(record)
            count = wanted.replicas if now is None else now.replicas
            if count == 0 or wanted.is_gone(record):
                what = "deleted" if wanted.is_gone(record) else "scaled to 0 by somebody else"
                self._action.give_up(error("unavailable", f"{wanted.workload.title} was {what}"))
                return True
            need += min(count, wanted.replicas)  # an autoscaler may ask for more or less from then on
        fresh = fresh_places(record, self._old)
        up = [Step(one.instance_id, "done") for one in fresh if one.instance and is_up(record, one.instance)]
        here = {step.instance_id for step in up}
        self._missing = need - len(up)
        others = [Step(one.instance_id) for one in fresh if one.instance_id not in here]
        self._action.steps = up if self._missing <= 0 else up + others
        return self._missing <= 0

    def progress(self, record: AgentRecord) -> Hashable:
        """Give nothing: all of it has one deadline, as long as it takes to fetch a large image."""
        del record
        return None

    def missing(self) -> str:
        """Say what did not come to pass."""
        return f"{self._missing} of the instances asked for did not run"


class Rollout:
    """Every pod is replaced by the workload's own rules, and the new ones run."""

    def __init__(self, action: Action, places: list[Place], wanted: list[Wanted]) -> None:
        self._action = action
        self._steps = [(step, place.pod) for step, place in zip(action.steps, places, strict=True) if place.pod]
        self._old = frozenset(pod.uid for _, pod in self._steps)
        self._names = frozenset(pod.name for _, pod in self._steps)
        self._wanted = wanted

    def look(self, record: AgentRecord) -> bool:
        """Note who left and who came for it: the pod of the same name where there is one, else the first that runs."""
        for wanted in self._wanted:
            if wanted.is_gone(record):
                self._action.give_up(error("unavailable", f"{wanted.workload.title} was deleted"))
                return True
        new = [one.instance for one in fresh_places(record, self._old) if one.instance]
        running = [one for one in new if is_up(record, one)]
        seen = [wanted.seen(record) for wanted in self._wanted]
        whole = all(one is not None and not one.rolling for one in seen)
        rolled_out = whole and len(running) >= sum(one.replicas for one in seen if one is not None)
        for step, pod in self._steps:
            if step.over:
                continue
            if pod.uid in record.pods:
                _drains(step, record, Place(step.instance_id, record.instances.get(step.instance_id), pod))
                continue
            successor = self._successor(pod.name, running)
            if successor is not None:
                step.state, step.successor = "done", successor.instance_id
            elif rolled_out:
                step.state = "done"
            else:
                step.state = "draining"
        return rolled_out and all(step.over for step, _ in self._steps)

    def progress(self, record: AgentRecord) -> Hashable:
        """Give which pods there are and how many of them are ready, as Kubernetes' own progress deadline counts."""
        ready = sum(pod.ready for pod in record.pods.values())
        return frozenset(record.pods), ready, tuple(step.state for step, _ in self._steps)

    def missing(self) -> str:
        """Say what did not come to pass."""
        return "the rollout made no progress"

    def _successor(self, name: str, running: list[Instance]) -> Instance | None:
        taken = {step.successor for step, _ in self._steps}
        free = [one for one in running if one.instance_id not in taken and one.pod is not None]
        namesake = next((one for one in free if one.pod is not None and one.pod.name == name), None)
        others = (one for one in free if one.pod is not None and one.pod.name not in self._names)
        return namesake or next(others, None)


def _drains(step: Step, record: AgentRecord, place: Place) -> None:
    """Note that what was there is on its way out."""
    pod = None if place.pod is None else record.pods.get(place.pod.uid)
    if (pod is not None and pod.leaving) or (place.instance is not None and place.instance.state == "stopping"):
        step.state = "draining"
