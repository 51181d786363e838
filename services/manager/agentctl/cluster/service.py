"""The Service of the manager in a namespace: the one that says by its label that a manager is behind it."""

from typing import Final

import msgspec

from agentctl.cluster.kubectl import Kubectl
from agentctl.failures import CommandFailed, Exit

LABEL: Final = "app.kubernetes.io/component=manager"
_PORT_NAME: Final = "http"


class _Meta(msgspec.Struct, frozen=True):
    name: str


class _Port(msgspec.Struct, frozen=True, rename="camel"):
    port: int
    name: str | None = None
    app_protocol: str | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    ports: list[_Port] = []
    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: _Spec = _Spec()


class _List(msgspec.Struct, frozen=True):
    items: list[_Object]


class Service(msgspec.Struct, frozen=True):
    """A Service and that of its ports which leads to the manager's API."""

    name: str
    port: int
    secure: bool
    """Whether HTTPS is spoken there, as its `appProtocol` says."""


def find_manager(kubectl: Kubectl) -> Service:
    """Give the manager's Service.

    A headless one for the adapters may stand beside it with the same label: of the two the one with an address is
    taken.

    Raises:
        CommandFailed: there is none, several, or one without a port for the API; ManagerAway: the cluster is away.

    """
    try:
        found = msgspec.json.decode(kubectl.get("service", "-l", LABEL), type=_List).items
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"cannot read kubectl's answer: {error}") from error
    if not found:
        advice = "-n NAMESPACE says where it is, or --manager URL"
        raise CommandFailed(f"no manager in {kubectl.place}: no Service has {LABEL}: {advice}", Exit.NOT_FOUND)
    with_address = [one for one in found if one.spec.cluster_ip != "None"] or found
    if len(with_address) > 1:
        raise _several(kubectl, with_address)
    (one,) = with_address
    port = _port(one)
    return Service(one.metadata.name, port.port, port.app_protocol == "https")


def _several(kubectl: Kubectl, found: list[_Object]) -> CommandFailed:
    names = [one.metadata.name for one in found]
    forward = kubectl.typed("port-forward", f"service/{names[0]}", f"8080:{found[0].spec.ports[0].port}")
    message = f"several managers in {kubectl.place}: the Services {', '.join(names)} have {LABEL}"
    return CommandFailed(f"{message}: choose one by {forward} and --manager http://127.0.0.1:8080", Exit.USAGE)


def _port(one: _Object) -> _Port:
    """Give the port named `http`, else the only one."""
    ports = one.spec.ports
    named = [port for port in ports if port.name == _PORT_NAME]
    if not named and len(ports) != 1:
        has = ", ".join(f"{port.name or '(no name)'} {port.port}" for port in ports) or "none"
        raise CommandFailed(
            f"cannot tell the manager's port of service/{one.metadata.name}: none is called http ({has})"
        )
    return (named or ports)[0]
