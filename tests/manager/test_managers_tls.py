"""Managers over TLS: each knows the others by the name of the certificate that all of them show."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_contract.loading import ConfigurationError
from agent_contract.serving import Server, listen
from agent_contract.tls import Tls, TlsFiles
from agent_manager.agent_client import AgentClient, Origin
from agent_manager.holder import HolderLink
from agent_manager.own_certificate import shared_name

from tests.manager.test_passing_on import Follower, StandIn, order
from tests.system.certificates import Authority

SERVICE = ("agents-managers", "agents-manager.fleet.svc")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give an authority."""
    return Authority(tmp_path, "authority")


@asynccontextmanager
async def linked(authority: Authority, names: tuple[str, ...], own: str | None) -> AsyncIterator[HolderLink]:
    """Give a manager's link to a holder at 127.0.0.1 whose certificate has these names."""
    tls = Tls(TlsFiles(*authority.issue("manager", names=names), str(authority.path)))
    sockets = listen("127.0.0.1", 0)
    server, client = Server(StandIn(), sockets, tls=tls.server), AgentClient(ssl_context=tls.client)
    await server.start()
    try:
        yield HolderLink(Follower(Origin("127.0.0.1", sockets[0].getsockname()[1], tls=True)), client, own)
    finally:
        await client.close()
        server.abort()
        await server.leave(unfinished_seconds=0)


async def test_the_holder_is_known_by_its_name_though_no_certificate_has_its_address(authority: Authority) -> None:
    """An order is passed on to a pod's address, which nobody knew when the certificate was made."""
    async with linked(authority, SERVICE, SERVICE[0]) as link:
        answer = await link.order(order(), anywhere=False)
    assert answer is not None
    assert answer.status == 409


@pytest.mark.parametrize("own", [None, "another-service"])
async def test_a_holder_of_another_name_gets_no_credentials(authority: Authority, own: str | None) -> None:
    """Whoever took the address over is not spoken to."""
    async with linked(authority, SERVICE, own) as link:
        assert await link.order(order(), anywhere=True) is None


def pem(authority: Authority, *names: str) -> str:
    """Give the path of a certificate."""
    return authority.issue("own", names=names)[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (SERVICE, "agents-managers"),
        (("*.fleet.svc",), "manager.fleet.svc"),
        (("10.1.2.3", *SERVICE), None),
        (("10.9.9.9", *SERVICE), "agents-managers"),
        (("10.9.9.9",), None),
    ],
)
def test_a_certificate_of_this_pod_alone_is_judged_by_its_address(
    authority: Authority, names: tuple[str, ...], expected: str | None
) -> None:
    """One that all pods share is judged by its first name."""
    assert shared_name(pem(authority, *names), "10.1.2.3") == expected


@pytest.mark.parametrize("path", [lambda folder: folder / "none", lambda folder: folder / "authority.txt"])
def test_a_file_that_is_no_certificate_is_said(tmp_path: Path, path: Callable[[Path], Path]) -> None:
    """With the variable that names it."""
    (tmp_path / "authority.txt").write_text("nothing")
    with pytest.raises(ConfigurationError, match="MANAGER_TLS_CERT"):
        shared_name(str(path(tmp_path)), None)


def test_a_certificate_without_names_is_judged_by_its_address(authority: Authority) -> None:
    """That of an authority has none."""
    assert shared_name(str(authority.path), "10.1.2.3") is None
