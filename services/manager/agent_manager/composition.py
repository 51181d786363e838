"""The composition root: which parts a manager has, and who is told of what."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from agent_contract.loading import ConfigurationError
from agent_contract.loopback import is_loopback
from agent_contract.tls import Tls
from agent_contract.tracing import OFF, Tracing

from agent_manager.access import Access
from agent_manager.acting import Acting, ActingInCluster, Member
from agent_manager.actions import Actions
from agent_manager.actions.orders import Orders
from agent_manager.agent_client import AgentClient
from agent_manager.agent_tokens import AgentProofs
from agent_manager.audit import Audit
from agent_manager.background import Background
from agent_manager.cluster.pod_logs import PodLogs
from agent_manager.cluster.token_reviews import TokenReviews
from agent_manager.cluster.watch_health import WatchHealth
from agent_manager.config import ManagerSettings
from agent_manager.console.feed import Feed
from agent_manager.credentials import Credentials
from agent_manager.discovery.events import Discovery
from agent_manager.discovery.introductions import Introductions
from agent_manager.discovery.kubernetes import KubernetesDiscovery
from agent_manager.discovery.static import StaticDiscovery
from agent_manager.dispatch import Dispatcher
from agent_manager.drains import Drains
from agent_manager.fleet_queries import FleetQueries
from agent_manager.handed_over import ResultStore
from agent_manager.holder import HolderLink
from agent_manager.holding import Absences
from agent_manager.idempotency import Keys
from agent_manager.journal import Journal
from agent_manager.listing import Listing
from agent_manager.live import Live
from agent_manager.log_sources import LogSources
from agent_manager.login_attempts import LoginAttempts
from agent_manager.logs import Logs
from agent_manager.manager import Manager
from agent_manager.metrics import BUCKETS, Metrics
from agent_manager.oidc import Issuer, OidcTokens
from agent_manager.oidc.issuer import ANSWER_BYTES
from agent_manager.own_certificate import shared_name
from agent_manager.probes import Prober
from agent_manager.queries import InstanceQueries
from agent_manager.readiness import Readiness
from agent_manager.records import Timing
from agent_manager.registrations import Registrations
from agent_manager.registry import Registry
from agent_manager.samples import Samples
from agent_manager.scrapes import MAX_PAGE_BYTES, Scrapes
from agent_manager.service_urls import ServiceUrls
from agent_manager.sessions import Sessions
from agent_manager.sweeper import Sweeper
from agent_manager.task_places import TaskPlaces
from agent_manager.tasks import Tasks
from agent_manager.token_reviews import ReviewedTokens

Clock = Callable[[], float]


def _wall() -> datetime:
    return datetime.now(UTC)


def _discovery(
    settings: ManagerSettings,
    registry: Registry,
    queries: InstanceQueries,
    background: Background,
    member: Member | None,
    watches: WatchHealth,
) -> Discovery:
    """Give what finds agents that do not register: the cluster, else the configuration's ports."""
    interval = settings.heartbeat_interval_seconds
    if member is None:
        return StaticDiscovery(settings.agents, registry.find, queries, background, interval_seconds=interval)
    introductions = Introductions(registry.find, queries, background, interval_seconds=interval)
    return KubernetesDiscovery(member.api, watches, introductions, background)


def _reviewed(
    credentials: Credentials, member: Member | None, registry: Registry, clock: Clock
) -> ReviewedTokens | None:
    """Give what asks the cluster whose tokens these are; raises ConfigurationError where there is no cluster."""
    if credentials.token_audience is None:
        return None
    if member is None:
        raise ConfigurationError("MANAGER_TOKEN_REVIEW_AUDIENCE", "is set, and no cluster runs the agents")
    reviewer = TokenReviews(member.api, credentials.token_audience)
    return ReviewedTokens(reviewer, registry.agent_of_pod, clock=clock, wall=time.time)


def _oidc(credentials: Credentials, client: AgentClient, clock: Clock) -> OidcTokens | None:
    """Give what reads the tokens of an OpenID Connect issuer, where one is configured."""
    settings = credentials.oidc
    return None if settings is None else OidcTokens(settings, Issuer(settings.issuer, client, clock), clock)


class Parts:
    """The parts of one process, made in the order in which they need one another."""

    def __init__(
        self,
        settings: ManagerSettings,
        credentials: Credentials,
        *,
        clock: Clock = time.monotonic,
        member: Member | None = None,
        tracing: Tracing = OFF,
        tls: Tls | None = None,
    ) -> None:
        self.background = Background()
        self._tls, context = tls, None if tls is None else tls.client
        self.client = AgentClient(clock=clock, ssl_context=context)
        peers_name = None if tls is None or member is None else shared_name(tls.certificate, settings.pod_ip)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        timing = Timing(
            ttl_seconds=settings.registration_ttl_seconds,
            heartbeat_interval_seconds=settings.heartbeat_interval_seconds,
            hold_seconds=settings.hold_seconds,
            drain_timeout_seconds=settings.drain_timeout_seconds,
        )

        proofs = AgentProofs(credentials, clock, time.time)
        journal = Journal(_wall)
        registry = Registry(settings.agents, timing, journal, clock=clock, wall=_wall)
        instance_queries = InstanceQueries(self.client, proofs.headers)
        self.prober = Prober(registry, instance_queries, self.background, clock=clock)
        self._sweeper = Sweeper(registry, self.prober, self.background)
        self._member = member
        watched = () if member is None else settings.namespaces or (member.api.namespace,)
        watches = self.watches = WatchHealth(watched, wall=_wall)
        discovery = self._discovery = _discovery(settings, registry, instance_queries, self.background, member, watches)
        absences = Absences(registry, clock)
        live = Live(self.client, proofs.headers, clock=clock)
        queries = FleetQueries(registry, live)
        results, places = ResultStore(clock), TaskPlaces()
        metrics = self._metrics = Metrics(
            registry, clock=clock, wall=_wall, watches=watches, leads=lambda: self._acting.leadership.is_leader
        )
        self._pages = AgentClient(clock=clock, max_body_bytes=MAX_PAGE_BYTES, ssl_context=context)
        self._scrapes = Scrapes(registry, self._pages, metrics.carried, self.background, clock=clock)
        keys = Keys(registry, live, results, clock=clock, alone=member is None)
        orders = Orders(registry, live, absences, clock=clock)
        self._acting: Acting | ActingInCluster = (
            Acting(registry, orders)
            if member is None
            else ActingInCluster(registry, orders, journal, member, clock=clock, wall=_wall)
        )
        self._issuer_client = AgentClient(clock=clock, max_body_bytes=ANSWER_BYTES)
        self._oidc = _oidc(credentials, self._issuer_client, clock)
        reviewed = _reviewed(credentials, member, registry, clock)
        leadership, audit = self._acting.leadership, Audit(journal, metrics.audited, clock)
        actions = Actions(
            registry,
            journal,
            platform_of=self._acting.platform_of,
            leadership=leadership,
            clock=clock,
            wall=_wall,
            spawn=self._spawn,
            on_end=(metrics.acted, audit.ended),
        )
        self._samples = Samples(registry, metrics.tally, BUCKETS, self.background, clock=clock)
        listing, sessions, started_at = Listing(registry), Sessions(credentials, _wall), _wall()
        self.manager = Manager(
            registry=registry,
            registrations=Registrations(
                registry,
                ServiceUrls(settings.allowed_service_hosts),
                instance_queries,
                journal,
                came=proofs.came,
                close_idle=self.client.close_idle,
                probe_soon=self.prober.probe_soon,
                clock=clock,
            ),
            results=results,
            listing=listing,
            journal=journal,
            dispatcher=Dispatcher(registry, self.client, self.prober, absences, keys, places, metrics, clock=clock),
            tasks=Tasks(registry, queries, live, results, places),
            actions=actions,
            holder=HolderLink(leadership, self.client, peers_name),
            queries=queries,
            drains=Drains(registry, queries, live, actions, absences, journal),
            logs=Logs(
                registry, queries, LogSources(live, self.client, None if member is None else PodLogs(member.api))
            ),
            access=Access(
                credentials,
                sessions,
                metrics.refused_credentials,
                reviewed,
                self._oidc,
                loopback_only=is_loopback(settings.host) and not settings.insecure,
            ),
            credentials=credentials,
            proofs=proofs,
            sessions=sessions,
            login_attempts=LoginAttempts(clock),
            feed=Feed(listing, journal, self._samples, started_at, _wall),
            metrics=metrics,
            audit=audit,
            scrapes=self._scrapes,
            readiness=Readiness(registry, [discovery.name], watches, clock=clock, began_at=started_at),
            clock=clock,
            started_at=started_at,
            tracing=tracing,
            commit=settings.commit,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do what a manager does by itself while the body runs; then end all of it and every connection."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            if self._tls is not None:
                self._start(self._tls.keep_fresh())
            if self._oidc is not None:
                self._start(self._oidc.issuer.run())
            self._start(self.prober.run())
            self._start(self._sweeper.run())
            self._start(self._samples.run())
            self._start(self._scrapes.run(self._metrics.prepare))
            self._start(self._metrics.grace.run(self.background))
            for work in self._acting.work(self.manager.readiness.leaving):
                self._start(work)
            self._start(self._discovery.run(self.manager.registry.apply))
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
        await self.client.close()
        await self._pages.close()
        await self._issuer_client.close()
        if self._member is not None:
            await self._member.api.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an action to its end; what goes wrong in it ends nothing else."""

        async def one() -> None:
            await work

        self._start(self.background.step("actions", one))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            raise RuntimeError("cannot begin anything: the manager does not run yet")
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
