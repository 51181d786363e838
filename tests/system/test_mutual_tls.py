"""Mutual TLS in both directions between a manager and an adapter that are real processes."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.system.certificates import Authority
from tests.system.fleet import Fleet, free_port

FULL = os.environ.get("TEST_PROFILE") == "full"
REQUESTS = 10_000 if FULL else 600
CALLERS = 8
PER_CONNECTION = 10
ROTATIONS = 20 if FULL else 3
HEALTHY = Path(__file__).parents[2] / "deploy" / "images" / "healthy"


class SecureFleet(Fleet):
    """A manager and one adapter; each shows a certificate, and takes nobody without one."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.authority = Authority(directory, "authority")
        self.own = self.authority.issue("client")
        self.manager_url = self.manager_url.replace("http:", "https:")
        self.agent_port = free_port()
        self.client = httpx.AsyncClient(
            base_url=self.manager_url, trust_env=False, timeout=20, verify=self.authority.client(self.own)
        )

    def files(self, name: str, prefix: str) -> dict[str, str]:
        """Give the variables of a process with a certificate of its own."""
        certificate, key = self.authority.issue(name)
        named = {"CERT": certificate, "KEY": key, "CLIENT_CA": str(self.authority.path)}
        return {f"{prefix}_TLS_{part}": path for part, path in named.items()}

    async def start_all(self) -> None:
        """Start both, and wait until the manager knows the agent by what it said itself."""
        await self.start_manager(**self.files("manager", "MANAGER"))
        how = ["--entry-point", "story_agents:work", "--host", "127.0.0.1", "--port", str(self.agent_port)]
        settings = {"MANAGER_URL": self.manager_url, **self.files("agent", "AGENT")}
        self._start("agent", ["agent_adapter", "--agent", "echo", *how], settings)
        await self.until(self.is_known, "the agent runs")

    async def is_known(self) -> bool:
        """Tell whether the agent is listed as running, at an https URL."""
        url = f"https://127.0.0.1:{self.agent_port}"
        return any(one["state"] == "running" and one["serviceUrl"] == url for one in await self.instances("echo"))


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[SecureFleet]:
    """Give a manager and an adapter that speak mutual TLS."""
    async with SecureFleet(tmp_path) as fleet:
        await fleet.start_all()
        yield fleet


async def is_refused(port: int, context: ssl.SSLContext) -> bool:
    """Tell whether nothing is answered to this client; in TLS 1.3 the first read tells."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
        answered = await reader.read(12)
        writer.close()
    except (ssl.SSLError, ConnectionError):
        return True
    return answered == b""


async def test_only_who_shows_a_certificate_is_let_in(secure: SecureFleet, tmp_path: Path) -> None:
    """None, one of another authority, and one that is over are refused by both; a sound one is served."""
    strange = Authority(tmp_path, "strange")
    trusting, other = secure.authority.client, strange.issue("stranger")
    clients = [trusting(), trusting(other), trusting(secure.authority.issue("late", valid=False))]
    for port in (secure.manager_port, secure.agent_port):
        assert [await is_refused(port, context) for context in clients] == [True, True, True]
        assert not await is_refused(port, trusting(secure.own))
    assert (await secure.execute("echo", number=1)).json()["result"] == {"number": 1}


async def test_an_adapter_says_nothing_to_a_manager_that_it_cannot_trust(secure: SecureFleet, tmp_path: Path) -> None:
    """Not even its token: the handshake ends first, and the log says why."""
    strange = Authority(tmp_path, "strange")
    certificate, key = strange.issue("impostor")
    files = {"AGENT_TLS_CERT": certificate, "AGENT_TLS_KEY": key}
    how = ["--entry-point", "story_agents:work", "--host", "127.0.0.1", "--port", str(free_port())]
    secure._start("impostor", ["agent_adapter", "--agent", "other", *how], {"MANAGER_URL": secure.manager_url, **files})
    log = secure.directory / "impostor.log"

    async def failed() -> bool:
        return "CERTIFICATE_VERIFY_FAILED" in log.read_text() or "certificate verify failed" in log.read_text()

    await secure.until(failed, "it says that it cannot trust the manager")
    assert "other" not in await secure.listing()


async def test_a_restart_keeps_speaking_tls(secure: SecureFleet) -> None:
    """The next process of the same PID and sockets."""
    before = (await secure.instances("echo"))[0]["instanceId"]
    assert (await secure.act("echo", "restart")).status_code == 202

    async def anew() -> bool:
        return await secure.is_known() and (await secure.instances("echo"))[0]["instanceId"] != before

    await secure.until(anew, "the next process runs")
    assert (await secure.execute("echo", number=2)).json()["result"] == {"number": 2}


async def test_the_image_s_health_check_asks_over_tls(secure: SecureFleet) -> None:
    """It shows the service's own certificate: with a client CA nobody else is answered."""
    asked = {
        "AGENT_PORT": str(secure.agent_port),
        "AGENT_TLS_CERT": str(secure.directory / "agent.crt"),
        "AGENT_TLS_KEY": str(secure.directory / "agent.key"),
    }
    command = [sys.executable, "-IS", str(HEALTHY)]
    told = await asyncio.to_thread(subprocess.run, command, env=asked, capture_output=True, check=False)
    assert (told.returncode, told.stdout) == (0, b"HTTP/1.1 200 OK\n")
    plain = await asyncio.to_thread(
        subprocess.run, command, env={"AGENT_PORT": asked["AGENT_PORT"]}, capture_output=True, check=False
    )
    assert plain.returncode == 1


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    """Call the agent once; raises AssertionError for anything but its answer."""
    body = json.dumps({"parameters": {"number": number}}).encode()
    head = f"POST /api/agent-services/echo/execute HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    text = await reader.readexactly(int(length.split(b":")[1]))
    assert json.loads(text)["result"] == {"number": number}


async def test_certificates_are_replaced_under_load_and_no_request_is_lost(secure: SecureFleet) -> None:
    """Both sides', again and again, over connections that are kept and new ones; new ones show the new certificate."""
    context, numbers, shown, done = secure.authority.client(secure.own), iter(range(REQUESTS)), set[bytes](), []

    async def caller() -> None:
        more = True
        while more:
            reader, writer = await asyncio.open_connection("127.0.0.1", secure.manager_port, ssl=context)
            shown.add(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            for _ in range(PER_CONNECTION):
                number = next(numbers, None)
                if number is None:
                    more = False
                    break
                await call(reader, writer, number)
                done.append(number)
                if len(done) % (REQUESTS // (ROTATIONS + 1)) == 0:
                    secure.authority.issue("manager")
                    secure.authority.issue("agent")
            writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    assert sorted(done) == list(range(REQUESTS))

    async def renewed() -> bool:
        latest = ssl.PEM_cert_to_DER_cert((secure.directory / "manager.crt").read_text())
        _, writer = await asyncio.open_connection("127.0.0.1", secure.manager_port, ssl=context)
        shown.add(found := writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()
        return bool(found == latest)

    await secure.until(renewed, "the last certificate is shown")
    assert len(shown) > 1
