"""What adapters say: register, beat, unregister. Here it is decided whom to believe."""

from collections.abc import Callable
from typing import Final

from agent_contract.problems import Problem
from agent_contract.wire import DesiredState, Heartbeat, Info, Orders, Registration, Unregistration
from msgspec import Struct
from msgspec.structs import replace

from agent_manager.agent_client import Origin
from agent_manager.journal import Journal
from agent_manager.networks import network_of
from agent_manager.queries import InstanceQueries, QueryFailed
from agent_manager.records import Instance
from agent_manager.registry import Registry
from agent_manager.service_urls import ServiceUrls

MOST_INSTANCES: Final = 20_000
"""Some 2 KB each, and what its description says, at most 64 KiB."""
MOST_OF_ONE: Final = 2_000
"""From one address, or with one agent's own token: more processes than a machine holds, a tenth of all."""
_LOOKS: Final = 3
"""How often a newcomer is looked at again because something changed while it was asked for; then it may try again."""
_MOST_CONFLICTS: Final = 1000


class Claim(Struct, frozen=True, kw_only=True):
    """What a registration meets. Equal claims hold the very same records."""

    rival: Instance | None
    """Who else is known at that address."""
    elsewhere: Instance | None
    """This instance, where it is known at another address."""


class Registrations:
    """Takes the adapters' messages, and gives them the manager's orders."""

    def __init__(
        self,
        registry: Registry,
        urls: ServiceUrls,
        queries: InstanceQueries,
        journal: Journal,
        *,
        came: Callable[[str, Origin, bytes | None], None],
        close_idle: Callable[[Origin], None],
        probe_soon: Callable[[Instance], None],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._urls = urls
        self._queries = queries
        self._journal = journal
        self._came = came
        self._close_idle = close_idle
        self._probe_soon = probe_soon
        self._clock = clock
        self._conflicts: dict[tuple[str, Origin], float] = {}
        timing = registry.timing
        states: tuple[DesiredState, ...] = ("running", "paused", "stopped")
        self._orders = {state: Orders(timing.ttl_seconds, timing.heartbeat_interval_seconds, state) for state in states}

    async def register(self, registration: Registration, peer_host: str | None, token: bytes | None = None) -> Orders:
        """Take a registration; `peer_host` is the address that it came from, `token` its agent's own, if it said it.

        A newcomer where another life is known must answer for itself there: whoever listens at an address has it.

        Raises:
            Problem: 400 `bad-request`, 403 `forbidden-service-url`, 409 `stale-instance` or `registration-conflict`,
                503 `unavailable` when too many are known.

        """
        origin = await self._urls.origin(registration.service_url, peer_host)
        registrant = f"the token of {registration.id}" if token is not None else network_of(peer_host or "")
        self._came(registration.id, origin, token)
        for _ in range(_LOOKS):
            self._check(registration, registrant)
            claim = self._claim(registration, origin)
            proved = await self._prove(registration, origin, claim)
            if self._claim(registration, origin) == claim:
                return self._answer(self._registry.register(*proved, registrant))
        raise Problem("registration-conflict", f"others claimed {registration.service_url} at the same time: try again")

    def heartbeat(self, beat: Heartbeat, token: bytes | None = None) -> Orders:
        """Take a beat. When this has returned, an instance that stops is chosen no more, and has no idle connection.

        Raises:
            Problem: 404 `unknown-instance`, 409 `stale-instance`.

        """
        instance = self._registry.beat(beat)
        self._came(instance.agent_id, instance.origin, token)
        return self._answer(instance)

    def unregister(self, message: Unregistration) -> None:
        """Take an instance's last word; raises Problem 409 `stale-instance`."""
        self._registry.unregister(message)

    def _answer(self, instance: Instance) -> Orders:
        if instance.state == "stopping":
            self._close_idle(instance.origin)
        if not instance.reachable:
            self._probe_soon(instance)
        return self._orders[self._registry.agents[instance.agent_id].desired_state]

    def _check(self, registration: Registration, registrant: str) -> None:
        """Refuse what no answer of anyone could make right."""
        if self._registry.is_stale(registration.instance_id):
            detail = f"{registration.instance_id} was replaced: a newer process has its place"
            raise Problem("stale-instance", detail)
        known = self._registry.instances.get(registration.instance_id)
        if known is not None and known.agent_id != registration.id:
            raise self._conflict(registration, known.origin, f"this instance id is one of {known.agent_id}")
        full = None if known is not None else self._full(registration.id, registrant)
        if full is not None:
            raise Problem("unavailable", f"{full}: no more are taken", headers={"Retry-After": "30"})

    def _full(self, agent_id: str, registrant: str) -> str | None:
        """Say why there is no room for one more instance."""
        if len(self._registry.instances) >= MOST_INSTANCES:
            return f"{MOST_INSTANCES} instances are known"
        if self._registry.find(agent_id) is None and len(self._registry.agents) >= MOST_INSTANCES:
            return f"{MOST_INSTANCES} agents are known, with those that have just left"
        if self._registry.count_of(registrant) >= MOST_OF_ONE:
            return f"{MOST_OF_ONE} instances are known from {registrant}"
        return None

    def _claim(self, registration: Registration, origin: Origin) -> Claim:
        known = self._registry.instances.get(registration.instance_id)
        occupant = self._registry.occupant(origin)
        moves = known is not None and known.origin != origin
        return Claim(rival=None if occupant is known else occupant, elsewhere=known if moves else None)

    async def _prove(self, registration: Registration, origin: Origin, claim: Claim) -> tuple[Registration, Origin]:
        """Give what to register, once it is sure whose the address and the id are; raises Problem."""
        if claim.rival is not None:
            await self._prove_newcomer(registration, origin, claim.rival)
        if claim.elsewhere is not None:
            return await self._prove_move(registration, origin, claim.elsewhere)
        return registration, origin

    async def _prove_newcomer(self, registration: Registration, origin: Origin, rival: Instance) -> None:
        """Return when the newcomer answers at the address of another life; else it is the other's."""
        answer = await self._ask(registration.id, origin)
        if answer is None:
            detail = f"nobody answers for {registration.instance_id} there, and {rival.instance_id} is known"
            raise self._conflict(registration, origin, detail)
        if (answer.instance_id, answer.id) != (registration.instance_id, registration.id):
            detail = f"{answer.instance_id} of {answer.id} answers there"
            raise self._conflict(registration, origin, detail)

    async def _prove_move(
        self, registration: Registration, origin: Origin, known: Instance
    ) -> tuple[Registration, Origin]:
        """Give what to register for an instance that is known at another address.

        It must answer at the new one. Where it registered before and still answers at the old one too, it keeps that
        one if it is one process with two addresses (a manager's name that means 127.0.0.1 and ::1); else somebody
        uses its id.
        """
        new = await self._ask(registration.id, origin)
        if new is None or (new.instance_id, new.id) != (registration.instance_id, registration.id):
            raise self._conflict(registration, origin, f"it is known at {known.service_url} and does not answer here")
        if "registration" not in known.sources:
            return registration, origin
        old = await self._ask(known.agent_id, known.origin)
        if old is None or old.instance_id != registration.instance_id:
            return registration, origin
        if old != new or known.origin.port != origin.port:
            raise self._conflict(registration, origin, f"it is known at {known.service_url} and answers there")
        return replace(registration, service_url=known.service_url), known.origin

    async def _ask(self, agent_id: str, origin: Origin) -> Info | None:
        try:
            return await self._queries.info(agent_id, origin)
        except QueryFailed:
            return None

    def _conflict(self, registration: Registration, origin: Origin, reason: str) -> Problem:
        """Give the refusal, and note it for those who audit: once per TTL, for an adapter tries on."""
        detail = f"cannot register {registration.instance_id} at {registration.service_url}: {reason}"
        now, key = self._clock(), (registration.instance_id, origin)
        if now - self._conflicts.get(key, float("-inf")) >= self._registry.timing.ttl_seconds:
            self._conflicts.pop(key, None)  # the one noted last stands last
            self._conflicts[key] = now
            self._journal.record(
                "verdict",
                registration.id,
                "registration-conflict",
                detail,
                instance_id=registration.instance_id,
                level="warning",
            )
        while len(self._conflicts) > _MOST_CONFLICTS:
            del self._conflicts[next(iter(self._conflicts))]
        return Problem("registration-conflict", detail)
