"""What an instance says of itself, taken into its record: at registration, in a beat, in `/status` and `/info`."""

from datetime import datetime
from typing import Any, Final

import msgspec
from agent_contract.problems import Problem
from agent_contract.wire import Drain, Heartbeat, Info, Registration, Status

from agent_manager.records import AgentRecord, Instance

MAX_METADATA_BYTES: Final = 64 * 1024
"""As JSON text: a schema and some labels, for each of up to 20,000 instances."""

_LONGEST_DRAIN_SECONDS: Final = 604_800.0
"""A week, the longest that may be asked for: a number without bounds would keep a record for ever."""

_MOST_BLOCKERS: Final = 1000
"""So many of a drain are kept for listings; the instance itself tells all of them."""


class Described(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """What the manager reads of `metadata` and of `/info`."""

    name: str | None = None
    description: str | None = None
    version: str | None = None
    adapter_version: str | None = None
    started_at: datetime | None = None
    max_concurrency: int | None = None
    parameters_schema: dict[str, Any] | None = None


def read_metadata(registration: Registration) -> Described:
    """Give what metadata says of agent and instance; the rest is not kept. A member of another type says nothing.

    Raises:
        Problem: 400 `bad-request` when it is too large or nested too deeply.

    """
    metadata = registration.metadata
    if metadata is None:
        return Described()
    try:
        text = msgspec.json.encode(metadata)
    except RecursionError as error:
        raise Problem("bad-request", "metadata is nested too deeply", field="metadata") from error
    if len(text) > MAX_METADATA_BYTES:
        detail = f"metadata has {len(text)} bytes of JSON, more than {MAX_METADATA_BYTES}"
        raise Problem("bad-request", detail, field="metadata")
    readable = {field.encode_name for field in msgspec.structs.fields(Described)}
    said = {name: value for name, value in metadata.items() if name in readable and _fits(name, value)}
    return msgspec.convert(said, Described)


def described(info: Info) -> Described:
    """Give the same of an answer of `/info`."""
    return msgspec.convert(msgspec.to_builtins(info), Described)


def take_description(record: AgentRecord, instance: Instance, said: Described) -> None:
    """Take what a process says of itself as it comes."""
    instance.version = said.version
    instance.adapter_version = said.adapter_version
    instance.started_at = said.started_at
    if said.max_concurrency is not None:
        instance.max_concurrency = said.max_concurrency
    record.said_name = said.name
    record.said_description = said.description
    schema = said.parameters_schema
    record.said_schema = None if schema is None else msgspec.json.encode(schema)


def take_beat(instance: Instance, beat: Heartbeat) -> bool:
    """Take a beat; tells whether it says anything new."""
    if beat.totals is not None:
        instance.totals = beat.totals
    before = (
        instance.said_state,
        instance.current_task,
        instance.running,
        instance.queued,
        instance.said_problem,
        instance.drain,
    )
    now = (beat.status, beat.current_task, beat.running, beat.queued, beat.problem, _under_way(beat.drain))
    if before == now:
        return False
    (
        instance.said_state,
        instance.current_task,
        instance.running,
        instance.queued,
        instance.said_problem,
        instance.drain,
    ) = now
    return True


def take_status(instance: Instance, status: Status) -> bool:
    """Take an answer of `/status`; tells whether it says anything new."""
    beat = Heartbeat(
        id=instance.agent_id,
        instance_id=instance.instance_id,
        status=status.status,
        current_task=status.current_task,
        running=len(status.tasks),
        queued=status.queued,
        drain=status.drain,
        problem=status.problem,
    )
    limit_is_new = instance.max_concurrency != status.max_concurrency
    instance.max_concurrency = status.max_concurrency
    return take_beat(instance, beat) or limit_is_new


def kept_until(instance: Instance, now: float, *, drain_timeout_seconds: float, ttl_seconds: float) -> float | None:
    """Give until when an instance that stops is kept, monotonic; None for one that does not stop.

    By what remains of its drain as it says; its deadline is the time of another clock. One that says nothing has the
    configured timeout, from the first time on.
    """
    if instance.state != "stopping":
        return None
    remaining = None if instance.drain is None else instance.drain.remaining_seconds
    if isinstance(remaining, float | int):
        return now + min(remaining, _LONGEST_DRAIN_SECONDS) + ttl_seconds
    if instance.kept_until is not None:
        return instance.kept_until
    return now + drain_timeout_seconds + ttl_seconds


def _fits(name: str, value: object) -> bool:
    try:
        msgspec.convert({name: value}, Described)
    except msgspec.ValidationError:
        return False
    return True


def _under_way(drain: Drain | None) -> Drain | None:
    if drain is None or drain.reason is None:
        return None
    if len(drain.blockers) > _MOST_BLOCKERS:
        return msgspec.structs.replace(drain, blockers=drain.blockers[:_MOST_BLOCKERS])
    return drain
