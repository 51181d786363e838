"""Forwarding a call: pick an instance, try it, try another where no work began, hold the call where one will be back.

A call that may have started is never repeated. That it has not is known in two cases only: no connection could be made,
or the answer carries the adapter's own word for it, `X-Agent-Refused`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from agent_contract.problems import Problem
from agent_contract.tracing import Span, names

from agent_manager import attempts
from agent_manager.agent_client import AgentClient, Call, CallError, CallTimedOut, ConnectFailed, ConnectionLost
from agent_manager.answers import TASK_ID, Answer, of_problem, outcome_unknown, relayed, unavailable
from agent_manager.doubts import Doubts
from agent_manager.forward import Forward
from agent_manager.held_calls import HeldCalls
from agent_manager.holding import Absences, held_until
from agent_manager.idempotency import Keys, Place
from agent_manager.records import Instance
from agent_manager.registry import Registry
from agent_manager.task_places import TaskPlaces

_LOOK_SECONDS: Final = 1.0
"""How often a held call tries again by itself: a place may have become free that this manager did not fill."""
_LOOK_IN_DOUBT_SECONDS: Final = 0.05
"""The same while an instance that lost a call is probed: that it answers again is no change that wakes anybody."""
_GOING: Final = frozenset(("stopping", "starting"))
_LAST_RESORT: Final = ("paused", "starting", "stopping", "running", "stopped")
_NOT_CONNECTED: Final = "connect-failed"
_ACCEPTED: Final = 202


class Prober(Protocol):
    """Asks an instance how it is, out of turn."""

    def suspect(self, instance: Instance, *, refused: bool) -> None:
        """Take a connect that failed as a probe that failed, and ask at once."""

    def probe_soon(self, instance: Instance) -> None:
        """Ask this instance at once: it said something that the registry does not know."""


class Counters(Protocol):
    """Counts what happens to calls."""

    def retried(self, agent_id: str, reason: str) -> None:
        """Count a try after one that began no work."""

    def held(self, agent_id: str, change: int) -> None:
        """Count a call in (1) or out (-1) of those held."""


class Dispatcher:
    """Finds an instance for each call, and gives what it answered."""

    def __init__(
        self,
        registry: Registry,
        client: AgentClient,
        prober: Prober,
        absences: Absences,
        keys: Keys,
        places: TaskPlaces,
        counters: Counters,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._client = client
        self._prober = prober
        self._absences = absences
        self._keys = keys
        self._places = places
        self._counters = counters
        self._clock = clock
        self._held = HeldCalls(counters.held)
        self._doubts = Doubts(clock)
        self._in_hand: set[Call] = set()
        self._leaving = self._gave_up = False
        registry.subscribe(self._changed)

    @property
    def idle(self) -> bool:
        """Whether no call is in hand or held."""
        return not self._in_hand and not self._held.count

    @property
    def held_calls(self) -> int:
        """How many calls are held."""
        return self._held.count

    async def execute(self, call: Forward) -> Answer:
        """Give the answer to a call; whoever gets a stream reads it or closes it.

        Raises:
            Disconnected: the client left while the call was held; no work had begun.

        """
        if self._gave_up:
            return of_problem(unavailable("the manager is leaving"), task_id=call.task_id)
        answer = await self._round(call)
        if answer is None and self._may_hold(call):
            answer = await self._held_answer(call)
        return answer or await self._last_word(call)

    def stop_holding(self) -> None:
        """Answer every held call now: the manager leaves."""
        self._leaving = True
        self._held.waiting.wake_everyone()

    def give_up(self) -> None:
        """End every call in hand: their clients get `outcome-unknown`, for the work may go on without the manager.

        Those that still come are refused.
        """
        self._gave_up = True
        for call in list(self._in_hand):
            call.abort(ConnectionLost("the manager is leaving, and the call is not done"))

    # --- tries ---

    async def _round(self, call: Forward) -> Answer | None:
        """Try each instance that takes calls once; None when no work began at any."""
        call.busy, call.bound, call.went_at = False, False, None
        tried: set[str] = set()
        while True:
            found = None if call.key is None else await self._keys.look(call)
            if isinstance(found, Answer):
                return found
            if found is Place.NOT_KNOWN_YET:
                call.bound = True
                return None
            instance = found if isinstance(found, Instance) else self._registry.pick(call.agent_id, tried)
            if instance is None:
                return None
            tried.add(instance.instance_id)
            if self._doubts and self._doubts.about(instance):
                call.went_at, call.bound = self._clock(), found is instance
                if call.bound:
                    return None
                continue
            answer = await self._try(instance, call)
            if answer is not None:
                return answer
            if found is instance and self._keys.is_bound(call):
                call.bound = True
                return None if call.failed_try == _NOT_CONNECTED else call.refusal

    async def _try(self, instance: Instance, call: Forward) -> Answer | None:
        """Send the call to one instance; None when no work began there."""
        if call.failed_try is not None:
            self._counters.retried(call.agent_id, call.failed_try)
        call.instance, attempt = instance, attempts.begin(call, instance)
        headers = call.headers + call.proof(call.agent_id, instance.origin)
        headers = attempt.onward(headers) if attempt.recording else headers
        request = self._client.call(instance.origin, "POST", "/execute", headers, call.body)
        instance.calls.add(request)
        self._in_hand.add(request)
        self._keys.sending(call, instance)
        streaming = False
        try:
            response = await request.response()
            streaming = response.streaming
            attempts.answered(attempt, response)
        except CallError as error:
            attempts.failed(attempt, error)
            return self._lost(instance, call, request, error)
        finally:
            if not streaming:
                self._release(instance, request, attempt)
        on_end = partial(self._release, instance, request, attempt)
        answer = relayed(response, call.agent_id, instance.instance_id, call.task_id, on_end)
        if answer.refusal is not None:
            self._refused(instance, call, answer)
            return None
        self._keys.ended(call)
        if answer.status == _ACCEPTED:
            self._remember(answer.header(TASK_ID), instance)
        return answer

    def _release(self, instance: Instance, request: Call, attempt: Span) -> None:
        attempt.end()
        instance.calls.discard(request)
        self._in_hand.discard(request)
        self._held.waiting.wake_first(instance.agent_id)

    def _lost(self, instance: Instance, call: Forward, request: Call, error: CallError) -> Answer | None:
        """Give the answer to a call whose instance gave none; None when it was never sent."""
        if isinstance(error, ConnectFailed):
            self._prober.suspect(instance, refused=error.refused)
        else:
            self._prober.probe_soon(instance)
        if not request.started:
            call.failed_try = _NOT_CONNECTED
            self._keys.not_begun(call, refused=False)
            return None
        self._client.close_idle(instance.origin)  # those to a process that is being killed end one after the other
        self._doubts.begin(instance)
        self._keys.ended(call, lost=True)
        task_id = self._keys.task_of(call)
        self._remember(task_id.encode(), instance)
        status = 504 if isinstance(error, CallTimedOut) else 502
        problem = outcome_unknown(task_id, f"{instance.agent_id} gave no answer: {error}", status=status)
        return of_problem(problem, instance_id=instance.instance_id, task_id=task_id)

    def _refused(self, instance: Instance, call: Forward, answer: Answer) -> None:
        call.refusal, call.failed_try = answer, answer.refusal
        self._keys.not_begun(call, refused=True)
        if answer.refusal in _GOING:
            call.went_at = self._clock()
        elif answer.refusal != "paused":
            call.busy = True
            return
        if instance.routable:
            self._prober.probe_soon(instance)

    def _remember(self, task_id: bytes | None, instance: Instance) -> None:
        if task_id is not None:
            self._places.remember(task_id.decode("latin-1"), instance.instance_id)

    # --- holding ---

    def _may_hold(self, call: Forward) -> bool:
        """Tell whether the call may wait, and set until when."""
        record = self._registry.find(call.agent_id)
        timing, absence = self._registry.timing, self._absences.of(call.agent_id)
        until = held_until(record, timing, began_at=self._registry.started_at, absence=absence)
        wanted = record is not None and record.desired_state == "running" and not absence.on_purpose
        if until is None and call.went_at is not None and wanted and not call.busy:
            until = call.went_at + timing.hold_seconds  # the registry has not heard yet
        if call.bound:
            until = call.arrived_at + timing.hold_seconds
        if until is not None:
            call.held_until = min(until, call.arrived_at + timing.hold_seconds)
        elif not (call.busy and wanted):
            return False
        elif call.held_until is None:  # whoever comes while those held are worked off waits behind them
            call.held_until = self._held.backlog_until(call.agent_id)
        return call.held_until is not None and self._clock() < call.held_until

    async def _held_answer(self, call: Forward) -> Answer | None:
        """Try again whenever something changed, for as long as the call may be held."""
        if not self._held.has_room_for(call):
            return None
        self._held.enter(call)
        began_at = self._clock()
        left = asyncio.ensure_future(call.left())
        try:
            while self._may_hold(call):
                if self._leaving:
                    return of_problem(unavailable("the manager is leaving"), task_id=call.task_id)
                look = _LOOK_IN_DOUBT_SECONDS if self._doubts else _LOOK_SECONDS
                await self._held.wait(call, left, min(look, (call.held_until or 0.0) - self._clock()))
                answer = await self._round(call)
                if answer is not None:
                    return answer
            return None
        finally:
            left.cancel()
            self._held.leave(call)
            call.span.set({names.HELD_SECONDS: round(self._clock() - began_at, 3)})

    def _changed(self, agent_id: str) -> None:
        """Wake those that wait for this agent if it can take calls now, or will not soon."""
        if agent_id not in self._held.waiting:
            return
        record = self._registry.find(agent_id)
        absence = self._absences.of(agent_id)
        until = held_until(record, self._registry.timing, began_at=self._registry.started_at, absence=absence)
        if until is None:
            self._held.waiting.wake_all(agent_id)

    # --- when nobody took it ---

    async def _last_word(self, call: Forward) -> Answer:
        """Give the last refusal; where there was none, let an instance that takes no calls say why."""
        record = self._registry.find(call.agent_id)
        if call.refusal is not None:
            return call.refusal
        if call.bound:
            detail = "nobody can tell whether this idempotency key was used: an instance does not answer"
            return of_problem(unavailable(detail), task_id=call.task_id)
        if record is None:
            return of_problem(Problem("unknown-agent", f"there is no agent {call.agent_id!r}"), task_id=call.task_id)
        there = [one for one in record.instances.values() if one.reachable and one is not call.instance]
        for instance in sorted(there, key=lambda one: _LAST_RESORT.index(one.state)):
            answer = await self._try(instance, call) or call.refusal
            if answer is not None:
                return answer
        detail = f"no instance of {call.agent_id} can take a call: it is {record.state}"
        return of_problem(unavailable(detail), task_id=call.task_id)
