"""TLS: served, mutual where a client CA is given, rotated without a restart, and left as fast."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from agent_contract.tls import Tls, TlsFiles

from tests.contract.serving_rig import both_loops, serving

pytestmark = [both_loops, pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")]


def certificate(folder: Path, name: str) -> TlsFiles:
    """Give a self-signed certificate for 127.0.0.1, which is its own CA."""
    files = TlsFiles(str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
    command = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 1"
    command += f" -subj /CN={name} -addext subjectAltName=IP:127.0.0.1 -keyout {files.key} -out {files.certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return files


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Give a certificate."""
    return certificate(tmp_path_factory.mktemp("tls"), "one")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Give another certificate."""
    return certificate(tmp_path_factory.mktemp("tls"), "two")


def replace(live: TlsFiles, files: TlsFiles) -> None:
    """Write a certificate and its key over those in use."""
    shutil.copy(files.certificate, live.certificate)
    shutil.copy(files.key, live.key)


def trusting(files: TlsFiles, own: TlsFiles | None = None) -> ssl.SSLContext:
    """Give a client's context that trusts this certificate alone, and shows its own."""
    context = ssl.create_default_context(cafile=files.certificate)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def blocking_call(port: int, context: ssl.SSLContext) -> bytes:
    """Give the beginning of an answer, nothing if the server ended before it; in TLS 1.3 the first read tells."""
    with (
        suppress(ssl.SSLError, ConnectionError),
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        return client.recv(12)
    return b""


async def test_requests_are_served_over_tls(one: TlsFiles) -> None:
    """Keep-alive, bodies and the scheme."""
    async with serving(tls=Tls(one).server) as rig:
        client = await rig.connect(ssl=trusting(one))
        for _ in range(2):
            assert len((await client.call(body=b"x" * 300_000)).body) == 300_000
        assert rig.app.scopes[0]["scheme"] == "https"


async def test_a_client_ca_asks_every_client_for_its_certificate(one: TlsFiles, two: TlsFiles) -> None:
    """One that shows none, or one that the CA did not sign, gets no answer."""
    async with serving(tls=Tls(TlsFiles(one.certificate, one.key, client_ca=two.certificate)).server) as rig:
        assert await asyncio.to_thread(blocking_call, rig.port, trusting(one, own=two)) == b"HTTP/1.1 200"
        assert await asyncio.to_thread(blocking_call, rig.port, trusting(one)) == b""
        assert await asyncio.to_thread(blocking_call, rig.port, trusting(one, own=one)) == b""
        assert len(rig.app.scopes) == 1


async def test_a_certificate_is_rotated_without_a_restart(one: TlsFiles, two: TlsFiles, tmp_path: Path) -> None:
    """New connections see the new one as soon as the pair is whole; old ones go on."""
    live = TlsFiles(str(tmp_path / "live.crt"), str(tmp_path / "live.key"))
    replace(live, one)
    tls = Tls(live)
    async with serving(tls=tls.server) as rig:
        old = await rig.connect(ssl=trusting(one))
        shutil.copy(two.certificate, live.certificate)
        tls.look()  # the key is still that of the other one
        assert (await (await rig.connect(ssl=trusting(one))).call()).status == 200
        replace(live, two)
        tls.look()
        assert (await (await rig.connect(ssl=trusting(two))).call()).status == 200
        assert (await old.call()).status == 200


async def test_leaving_answers_what_is_under_way_and_closes_the_idle(one: TlsFiles) -> None:
    """The answer comes whole; a pooled client that never looks at its connection does not hold the exit."""
    async with serving(tls=Tls(one).server) as rig:
        held = await rig.connect(ssl=trusting(one))
        idle = await rig.connect(ssl=trusting(one), limit=1)
        await idle.call()
        idle.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport that reads
        held.request("/hold")
        await asyncio.wait_for(rig.app.started.wait(), 5)
        leaving = asyncio.create_task(rig.server.leave())
        await rig.settle()
        rig.app.release.set()
        assert (await held.answer()).body == b"held"
        begin = time.perf_counter()
        await leaving
        assert time.perf_counter() - begin < 0.5


async def test_a_client_that_does_not_finish_its_handshake_does_not_hold_the_exit(one: TlsFiles) -> None:
    """It has asked for nothing yet."""
    async with serving(tls=Tls(one).server) as rig:
        client = await rig.connect()
        client.send(b"\x16\x03\x01")
        await rig.settle()
        async with asyncio.timeout(1):
            await rig.server.leave()
