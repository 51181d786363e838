"""The composition root: which parts an instance has, and who is told of what."""

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent_contract.serving import Server
from agent_contract.tls import Tls
from agent_contract.tracing import OFF, Tracing
from agent_contract.tracing.names import invocation
from agent_contract.wire import DesiredState
from msgspec import UNSET, UnsetType

from agent_adapter.adapter import Adapter
from agent_adapter.admission import TaskTable
from agent_adapter.agents.agent import Agent
from agent_adapter.app import application
from agent_adapter.config import AdapterSettings
from agent_adapter.credentials import ManagerTokens
from agent_adapter.drain import DrainLimits
from agent_adapter.execution import Execution
from agent_adapter.heartbeat import Managers
from agent_adapter.http_client import BEATS_IDLE_SECONDS, HttpClient
from agent_adapter.identity import Identity
from agent_adapter.lifecycle import Lifecycle
from agent_adapter.metrics import Metrics
from agent_adapter.outgoing_calls import OutgoingCalls
from agent_adapter.supervisor import Supervisor
from agent_adapter.views import Views
from agent_adapter.wall_clock import WallClock

_MANAGER_CONNECTIONS: Final = 8
"""To managers: beats and last words, one at a time to each of a few."""
_SPARE_CONNECTIONS: Final = 8


class Instance:
    """The parts of one process, made in the order in which they need one another."""

    def __init__(
        self,
        settings: AdapterSettings,
        identity: Identity,
        sockets: list[socket.socket],
        tracing: Tracing = OFF,
        tls: Tls | None = None,
    ) -> None:
        clock = time.monotonic
        self._spawned: set[asyncio.Task[None]] = set()
        self._wired = False
        limits = DrainLimits(settings.drain_timeout_seconds, settings.quiet_seconds, settings.termination_grace_seconds)
        lifecycle = Lifecycle(clock, limits, self._lifecycle_changed)
        table = TaskTable(clock, settings.max_concurrency, settings.max_queue, self._tasks_changed)
        wall = WallClock(clock)
        metrics = Metrics(lifecycle, table, _text(settings.agent.version), wall.unix)
        agent = _agent(settings, self._agent_changed, metrics, tracing)
        tokens = ManagerTokens(settings.agent.id, settings.manager_tokens, settings.manager_token_file, clock=clock)
        as_client, as_server = (None, None) if tls is None else (tls.client, tls.server)
        self._calls = HttpClient(connections=settings.max_concurrency * 4 + _SPARE_CONNECTIONS, tls=as_client)
        self._beats = HttpClient(
            connections=_MANAGER_CONNECTIONS, tls=as_client, idle_seconds=BEATS_IDLE_SECONDS, observed=False
        )
        calls = OutgoingCalls(settings.manager_url, self._calls, tokens, agent_id=settings.agent.id)
        execution = Execution(
            table,
            lifecycle,
            agent,
            clock=clock,
            spawn=self._spawn,
            caller_of=calls.of_task,
            task_timeout_seconds=settings.task_timeout_seconds,
            invocation=partial(
                invocation, agent_id=settings.agent.id, agent_name=_text(settings.agent.name) or settings.agent.id
            ),
        )
        views = Views(settings, identity, lifecycle, table, agent, wall=wall, totals=metrics.totals, told=self._told)
        adapter = Adapter(
            settings, lifecycle, execution, agent, views, metrics, tokens, clock, asyncio.Event(), tracing
        )
        self.adapter = adapter
        serve_on = partial(Server, application(adapter), tls=as_server)
        self.server = serve_on(sockets)
        self.supervisor = Supervisor(adapter, identity, serve_on, tls)
        self.supervisor.server = self.server
        self._wired = True
        self.supervisor.managers = Managers(
            settings.manager_url,
            self._beats,
            self.supervisor,
            tokens=tokens,
            interval=settings.heartbeat_interval_seconds,
        )

    async def close(self) -> None:
        """End what still runs of tasks that were cut, and every connection."""
        for task in self._spawned:
            task.cancel()
        await self._calls.close()
        await self._beats.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._spawned.add(task)  # the event loop keeps only a weak reference
        task.add_done_callback(self._spawned.discard)

    def _lifecycle_changed(self) -> None:
        if self._wired:
            self.supervisor.obey()

    def _agent_changed(self) -> None:
        if self._wired:
            self.supervisor.wake()

    def _tasks_changed(self) -> None:
        if self.adapter.lifecycle.drain is not None:  # nobody else waits for tasks, and each wait costs 20 us a call
            self.supervisor.wake()

    def _told(self) -> DesiredState | None:
        return self.supervisor.told if self._wired else None


def _agent(settings: AdapterSettings, on_change: Any, metrics: Metrics, tracing: Tracing) -> Agent:  # noqa: ANN401  # a callback
    config = settings.agent
    schema = None if isinstance(config.parameters_schema, UnsetType) else config.parameters_schema
    if settings.dummy:
        from agent_adapter.agents.dummy_agent import DummyAgent  # noqa: PLC0415  # each way is loaded when it is used

        return DummyAgent()
    if config.upstream is not UNSET:
        from agent_adapter.agents.upstream_agent import UpstreamAgent  # noqa: PLC0415  # only its kind loads it

        client = HttpClient(connections=settings.max_concurrency + _SPARE_CONNECTIONS)
        return UpstreamAgent(str(config.upstream), client, on_change, schema)
    if not isinstance(config.command, UnsetType):
        from agent_adapter.agents.child import Launch  # noqa: PLC0415  # only its kind loads it
        from agent_adapter.agents.command_agent import CommandAgent  # noqa: PLC0415  # only its kind loads it

        launch = Launch(config.command, settings.environment, f"command {config.command[0]!r}")
        return CommandAgent(launch, on_change=on_change, on_restart=metrics.child_restarted, schema=schema)
    if config.isolation == "process":
        from agent_adapter.agents.worker_agent import WorkerAgent  # noqa: PLC0415  # only its kind loads it

        worker = WorkerAgent(
            str(config.entry_point),
            threads=settings.max_concurrency,
            log_level=settings.log_level,
            environment={**settings.environment, **tracing.for_child},
            on_change=on_change,
            on_restart=metrics.child_restarted,
            schema=schema,
        )
        metrics.page.source = worker.metrics
        return worker
    from agent_adapter.agents.python_agent import PythonAgent  # noqa: PLC0415  # only its kind loads it

    return PythonAgent(str(config.entry_point), threads=settings.max_concurrency, schema=schema)


def _text(value: str | UnsetType) -> str:
    return "" if isinstance(value, UnsetType) else value


def enter_environment(settings: AdapterSettings) -> None:
    """Make this process's environment that of agent code, and enter its working directory."""
    for name in set(os.environ) - set(settings.environment):
        del os.environ[name]
    os.environ.update(settings.environment)
    if not isinstance(settings.agent.working_directory, UnsetType):
        os.chdir(Path(settings.agent.working_directory))
