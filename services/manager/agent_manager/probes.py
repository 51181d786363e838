"""Asking instances how they are, and what counts as evidence that a call is lost.

A beat proves that an instance can reach the manager; only an answered probe proves the way that calls take.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from agent_manager.agent_client import CallTimedOut, ConnectionLost
from agent_manager.background import Background
from agent_manager.departures import Departure
from agent_manager.queries import InstanceQueries, QueryFailed
from agent_manager.records import Instance
from agent_manager.registry import Registry

WITH_CALLS_SECONDS: Final = 1.0
"""How often one is asked that has calls of this manager in hand."""
AT_ONCE: Final = 64
"""Probes under way: a fleet that does not answer costs so many sockets for half a second each."""
_TICK_SECONDS: Final = 0.1
"""How often it is looked who is due; a failed connect is not waited for."""


class Prober:
    """Probes every instance: each second where calls are in hand, else once a heartbeat interval, at once in doubt."""

    def __init__(
        self,
        registry: Registry,
        queries: InstanceQueries,
        background: Background,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._queries = queries
        self._background = background
        self._clock = clock
        self._in_doubt: dict[str, Instance] = {}
        self._under_way: dict[str, Instance] = {}
        self._orphans: dict[str, Instance] = {}
        """Not in the registry any more, and calls are still in hand there."""
        self._woken = asyncio.Event()
        registry.departed.append(self._departed)

    async def run(self) -> None:
        """Probe who is due, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                await self._background.step("probes", partial(self._round, group))
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_SECONDS):
                        await self._woken.wait()

    async def _round(self, group: asyncio.TaskGroup) -> None:
        self._give_up_lost_calls()
        for instance in self._due():
            self._under_way[instance.instance_id] = instance
            instance.probed_at = self._clock()
            group.create_task(self._background.step("probes", partial(self.probe, instance)))

    def suspect(self, instance: Instance, *, refused: bool) -> None:
        """Take a connect that failed as a probe that failed, and ask at once."""
        detail = f"{instance.service_url} {'refused' if refused else 'did not take'} a connection"
        self._registry.probe_failed(instance, detail, refused=refused)
        self.probe_soon(instance)

    def probe_soon(self, instance: Instance) -> None:
        """Ask this instance at once: something said that it may be there again, or gone."""
        if self._is_known(instance):
            self._in_doubt[instance.instance_id] = instance
            self._woken.set()

    async def probe(self, instance: Instance) -> None:
        """Ask one instance for its status, and tell the registry."""
        asked_at = self._clock()
        try:
            status = await self._queries.status(instance.agent_id, instance.origin)
        except QueryFailed as error:
            self._registry.probe_failed(instance, str(error), refused=error.refused)
            if instance.calls and instance.failed_probes == 1:  # where callers wait, the second opinion comes at once
                self.probe_soon(instance)
        else:
            if status.instance_id == instance.instance_id:
                self._registry.observe(instance, status, asked_at)
            else:
                self._other_life(instance)
        finally:
            self._under_way.pop(instance.instance_id, None)
            if self._in_doubt:
                self._woken.set()

    def _due(self) -> list[Instance]:
        """Give who is to be asked now: those in doubt first, then those with calls, at most as many as may be."""
        room = AT_ONCE - len(self._under_way)
        now, interval = self._clock(), self._registry.timing.heartbeat_interval_seconds
        doubtful = [one for one in self._in_doubt.values() if one.instance_id not in self._under_way]
        busy, others = [], []
        for instance in (*self._registry.instances.values(), *self._orphans.values()):
            if instance.instance_id in self._under_way or instance.instance_id in self._in_doubt:
                continue
            if instance.calls:
                if now - instance.probed_at >= WITH_CALLS_SECONDS:
                    busy.append(instance)
            elif now - instance.probed_at >= interval:
                others.append(instance)
        due = [*doubtful, *busy, *others][:room]
        for instance in due:
            self._in_doubt.pop(instance.instance_id, None)
        return due

    def _give_up_lost_calls(self) -> None:
        """End the calls of which no byte, and no answered probe of their instance, came for one TTL."""
        horizon = self._clock() - self._registry.timing.ttl_seconds
        for instance in (*self._registry.instances.values(), *self._orphans.values()):
            if not instance.calls or instance.answered_at > horizon:
                continue
            for call in tuple(instance.calls):
                if call.started and call.last_byte_at <= horizon:
                    call.abort(CallTimedOut(f"no byte and no answered probe of {instance.service_url} for one TTL"))
        self._orphans = {key: instance for key, instance in self._orphans.items() if instance.calls}

    def _other_life(self, instance: Instance) -> None:
        self._registry.found_other_life(instance)
        _lose_calls(instance)  # also those of one that left the registry before

    def _departed(self, departure: Departure) -> None:
        instance = departure.instance
        self._in_doubt.pop(instance.instance_id, None)
        if departure.reason == "replaced":
            _lose_calls(instance)
        elif instance.calls:
            self._orphans[instance.instance_id] = instance

    def _is_known(self, instance: Instance) -> bool:
        return self._registry.instances.get(instance.instance_id) is instance


def _lose_calls(instance: Instance) -> None:
    for call in tuple(instance.calls):
        call.abort(ConnectionLost(f"another process answers at {instance.service_url}"))
