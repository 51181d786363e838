"""The client over TLS: the same behaviour, and a certificate that must be right."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from agent_manager.agent_client import AgentClient, ConnectFailed

from tests.manager.agent_client.scripted_instance import GOOD, Peer, closing, instance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a key and a certificate for 127.0.0.1, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-subj",
        "/CN=agent",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("both.pem.crt").read_text())
    return path


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    """Give the instance's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
async def client(certificate: Path) -> AsyncIterator[AgentClient]:
    """Give a client that trusts the certificate."""
    client = AgentClient(ssl_context=ssl.create_default_context(cafile=certificate))
    yield client
    await client.close()


async def test_connection_is_reused_over_tls(client: AgentClient, serving: ssl.SSLContext) -> None:
    """One handshake serves many calls."""
    async with instance(context=serving) as there:
        for _ in range(5):
            assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 1


async def test_reader_that_leaves_closes_the_connection_over_tls(client: AgentClient, serving: ssl.SSLContext) -> None:
    """The close is not held up by the protocol's own goodbye."""

    async def forever(peer: Peer) -> None:
        await peer.write(STREAM)
        await peer.wait_gone()

    async with instance(forever, context=serving) as there:
        chunks = (await client.call(there.origin, "POST", "/execute").response()).chunks()
        assert await anext(chunks) == b"data: 1\n\n"
        await chunks.aclose()
        async with asyncio.timeout(1):
            await there.peers[0].gone.wait()


async def test_unknown_certificate_is_a_failed_connection(serving: ssl.SSLContext) -> None:
    """Nothing is sent to whom we do not trust; without a context of ours the system's is used."""
    client = AgentClient()
    async with instance(context=serving) as there:
        with pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await client.call(there.origin, "POST", "/execute").response()
        assert not caught.value.refused
        assert not there.requests
    await client.close()


async def test_connection_that_ended_while_idle_is_skipped_over_tls(
    client: AgentClient, serving: ssl.SSLContext
) -> None:
    """The end of an idle connection is noticed under TLS too."""
    async with instance(closing(GOOD), context=serving) as there:
        await client.call(there.origin, "GET", "/").response()
        connection = client._pools[there.origin]._idle[0]
        async with asyncio.timeout(5):
            await connection.closed
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 2
