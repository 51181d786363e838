"""The API's objects, with the few fields that matter here.

Every field may be absent or null: controllers of all sorts write these objects, and an odd one must not cost the rest.
https://kubernetes.io/docs/reference/kubernetes-api/
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Raw, Struct

AGENT_LABEL: Final = "agent-orchestration.dev/agent"
PORT_ANNOTATION: Final = "agent-orchestration.dev/port"
DESIRED_STATE_ANNOTATION: Final = "agent-orchestration.dev/desired-state"
REPLICAS_ANNOTATION: Final = "agent-orchestration.dev/replicas"
NOTHING: Final[Mapping[str, str]] = {}
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that is no JSON, or not of the type."""


class Object(Struct, rename="camel", frozen=True):
    """A piece of an object of the API: named as in the API, unknown members are skipped."""


class Metadata(Object, frozen=True):
    """What every object has."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    @property
    def agent_id(self) -> str:
        """The agent that its label names; nothing says that this can be an agent's id."""
        return (self.labels or NOTHING).get(AGENT_LABEL, "")

    def annotation(self, name: str) -> str | None:
        """Give an annotation's text."""
        return (self.annotations or NOTHING).get(name)


class AnyObject(Object, frozen=True):
    """Any object."""

    metadata: Metadata


# --- pods -------------------------------------------------------------------------------------------------------------


class Port(Object, frozen=True):
    """A port of a container."""

    container_port: int
    name: str | None = None


class Resources(Object, frozen=True):
    """What a container gets."""

    limits: dict[str, str | int | float] | None = None


class Container(Object, frozen=True):
    """A container as it was asked for. `restart_policy` `Always` makes an init container a native sidecar."""

    name: str
    image: str | None = None
    ports: list[Port] | None = None
    resources: Resources | None = None
    restart_policy: str | None = None


class Waiting(Object, frozen=True):
    """A container that does not run yet, or not now."""

    reason: str | None = None
    message: str | None = None


class Running(Object, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class Terminated(Object, frozen=True):
    """A container that ended."""

    exit_code: int = 0
    reason: str | None = None
    message: str | None = None
    finished_at: datetime | None = None


class ContainerState(Object, frozen=True):
    """One of the three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Object, frozen=True):
    """A container as the kubelet sees it."""

    name: str
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Condition(Object, frozen=True):
    """One of the things that are so, or not."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class PodSpec(Object, frozen=True):
    """What a pod is to be."""

    node_name: str | None = None
    restart_policy: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None


class PodStatus(Object, frozen=True):
    """What became of it."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class PodObject(Object, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus | None = None


# --- workloads --------------------------------------------------------------------------------------------------------


class UpdateStrategy(Object, frozen=True):
    """How a StatefulSet takes a new template to its pods."""

    type: str | None = None


class WorkloadSpec(Object, frozen=True):
    """What a Deployment or StatefulSet is to be."""

    replicas: int | None = None
    update_strategy: UpdateStrategy | None = None


class WorkloadStatus(Object, frozen=True):
    """What became of it; an absent number is 0."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    current_revision: str | None = None
    update_revision: str | None = None
    conditions: list[Condition] | None = None


class WorkloadObject(Object, frozen=True):
    """A Deployment or a StatefulSet."""

    metadata: Metadata
    spec: WorkloadSpec
    status: WorkloadStatus | None = None


# --- lists and watches ------------------------------------------------------------------------------------------------


class ListMetadata(Object, frozen=True):
    """The state that a list is of, and where its next page begins."""

    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class ObjectList(Object, frozen=True):
    """A page of a list."""

    metadata: ListMetadata
    items: list[Raw] | None = None


class WatchEvent(Object, frozen=True):
    """A line of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, or `ERROR` with a `Status`."""

    type: str
    object: Raw


class BookmarkMetadata(Object, frozen=True):
    """What a bookmark says: everything up to this version was told."""

    resource_version: str = ""


class Bookmark(Object, frozen=True):
    """An object of the watched kind that holds nothing else."""

    metadata: BookmarkMetadata
