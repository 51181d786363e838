"""`agentctl describe`: all about one agent or one task, for a person."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from agent_contract.durations import format_duration
from agent_contract.readable import harmless

from agentctl.arguments import AGENT_ID, TASK_ID
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.grace import grace
from agentctl.output import json_text
from agentctl.rows import duration, progress, text
from agentctl.tables import Table
from agentctl.tasks import locate
from agentctl.terminal import one_line, say
from agentctl.views import Action, Agent, Blocker, Drain, Instance, Pod, ProblemState, Task, age_seconds, members, read
from agentctl.watch import FLEET

Field = tuple[str, object]


@click.group()
def describe() -> None:
    """Tell all about an agent or a task."""


@describe.command(short_help="Tell all about an agent.")
@click.argument("agent_id", metavar="NAME", type=AGENT_ID)
@talks_to_manager
def agent(manager: Manager, agent_id: str) -> None:
    """Tell all about an agent: its instances, what they do, its parameters, what was ordered lately."""
    view = read(manager.get(f"{FLEET}/{agent_id}"), Agent)
    actions = [read(one, Action) for one in members(manager.get(f"{FLEET}/{agent_id}/actions"), "actions")]
    fields = [*_agent_fields(view), ("Grace", grace(manager, agent_id))]
    lines = [*_fields(fields), *_section("Parameters", _parameters(view.parameters_schema))]
    lines += _section("Instances", [line for one in view.instances for line in _instance(one)])
    say("\n".join([*lines, *_section("Actions", _actions(actions))]))


@describe.command(short_help="Tell all about a task.")
@click.argument("task_id", metavar="NAME", type=TASK_ID)
@click.option("--agent", "agent_id", type=AGENT_ID, metavar="ID", help="The agent that has it.")
@talks_to_manager
def task(manager: Manager, task_id: str, agent_id: str | None) -> None:
    """Tell all about a task, its result or its problem included."""
    raw = locate(manager, task_id, agent_id)
    lines = _fields(_task_fields(read(raw, Task)))
    if raw.get("resultDropped"):
        lines += _fields([("Result", "dropped, to make room for newer ones")])
    for name in ("result", "problem"):
        if name in raw:
            lines += _section(name.capitalize(), json_text(raw[name]).splitlines())
    say("\n".join(lines))


def _agent_fields(view: Agent) -> list[Field]:
    state = f"{view.state} (ordered: {view.desired_state})" if view.desired_state else view.state
    desired = len(view.instances) if view.desired_instances is None else view.desired_instances
    return [
        ("Name", view.id),
        ("Title", view.name),
        ("Description", view.description),
        ("State", state),
        ("Ready", f"{view.ready_instances or 0}/{desired}"),
        (
            "Workloads",
            None if view.desired_instances is None else f"ask for {desired}, {len(view.instances)} are there",
        ),
        ("Sources", ", ".join(view.sources)),
        ("Problem", _problem(view.problem)),
    ]


def _instance(view: Instance) -> list[str]:
    reachable = "" if view.reachable is None else (", reachable" if view.reachable else ", NOT reachable")
    fields: list[Field] = [
        ("State", f"{view.state}{reachable}"),
        ("URL", view.service_url),
        ("Source", view.source),
        ("Pod", view.pod and _pod(view.pod)),
        ("Image", view.pod and view.pod.image),
        ("Version", f"{text(view.version)} (adapter {text(view.adapter_version)})"),
        ("Started", _time(view.started_at)),
        ("Last seen", _time(view.last_seen)),
        ("Restarts", view.restarts),
        ("Tasks", f"{view.running or 0} of {text(view.max_concurrency)} run, {view.queued or 0} wait"),
        ("Problem", _problem(view.problem)),
    ]
    drain = [] if view.drain is None else _drain_fields(view.drain)
    blockers = [] if view.drain is None else [_blocker(one) for one in view.drain.blockers]
    return [one_line(view.instance_id), *_indented([*_fields([*fields, *drain]), *blockers])]


def _pod(view: Pod) -> str:
    """Give a pod as `agents/planner-abc on node-1: Running, ready`, and the platform's word for how it is."""
    where = f"{view.namespace}/{view.name}" + (f" on {view.node}" if view.node else " on no node yet")
    ready = {True: ", ready", False: ", not ready", None: ""}[view.ready]
    return f"{where}: {text(view.phase)}{ready}" + (f" ({view.reason})" if view.reason else "")


def _drain_fields(view: Drain) -> list[Field]:
    return [
        ("Drain", f"{view.reason}, {duration(view.remaining_seconds)} left, eta {duration(view.eta_seconds)}"),
        ("Deadline", _time(view.deadline)),
    ]


def _blocker(view: Blocker) -> str:
    told = [
        f"age {duration(view.age_seconds)}",
        progress(view.progress),
        f"eta {duration(view.eta_seconds)}",
        text(view.caller),
    ]
    return one_line(f"  {view.task_id}  " + "  ".join(told))


def _task_fields(view: Task) -> list[Field]:
    return [
        ("Name", view.task_id),
        ("Agent", view.agent),
        ("Instance", view.instance_id),
        ("State", view.state),
        ("Progress", None if view.progress is None else progress(view.progress)),
        ("Caller", view.caller),
        ("Created", _time(view.created_at)),
        ("Started", _time(view.started_at)),
        ("Ended", _time(view.ended_at)),
        ("Duration", None if view.duration_seconds is None else f"{view.duration_seconds:.3f} s"),
        ("Deadline", _time(view.deadline)),
    ]


def _parameters(schema: dict[str, Any] | None) -> list[str]:
    if not schema:
        return ["(it does not say)"]
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return json_text(schema).splitlines()
    required = schema.get("required")
    rows = [_parameter(name, of, required if isinstance(required, list) else []) for name, of in properties.items()]
    return _rows(("NAME", "TYPE", "REQUIRED", "DESCRIPTION"), rows)


def _parameter(name: str, schema: Any, required: list[Any]) -> tuple[str, ...]:  # noqa: ANN401  # any JSON value
    of = schema if isinstance(schema, dict) else {}
    kind = of.get("type") or ("one of " + json_text(of["enum"], indent=None) if "enum" in of else "any")
    cells = (name, kind, "yes" if name in required else "no", of.get("description", ""))
    return tuple(one_line(cell) for cell in cells)


def _actions(actions: Sequence[Action]) -> list[str]:
    rows = [
        (one.action_id, one.action, text(one.state), text(one.by), duration(age_seconds(one.started_at)))
        for one in actions
    ]
    clean = [tuple(one_line(cell) for cell in row) for row in rows]
    return _rows(("ID", "ACTION", "STATE", "BY", "AGE"), clean) if rows else []


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = Table(columns, rows)
    return [table.head(), *(table.line(row) for row in rows)]


def _fields(fields: Iterable[Field]) -> list[str]:
    known = [(name, one_line(value)) for name, value in fields if value not in {None, ""}]
    wide = max((len(name) for name, _ in known), default=0) + 2
    return [f"{name + ':':<{wide}} {value}" for name, value in known]


def _section(name: str, lines: Sequence[str]) -> list[str]:
    return [f"{name}:", *_indented(lines)] if lines else []


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {harmless(line)}" for line in lines]


def _problem(view: ProblemState | None) -> str | None:
    if view is None:
        return None
    since = "" if view.since is None else f", since {_time(view.since)}"
    return f"{view.code}: {view.detail}{since}"


def _time(time: datetime | None) -> str | None:
    if time is None:
        return None
    away = (datetime.now(UTC) - time).total_seconds()
    told = f"{format_duration(away)} ago" if away >= 0 else f"in {format_duration(-away)}"
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} ({told})"
