"""A request hidden behind a malformed one reaches no agent: real processes, and the agent's own count of its calls."""

import asyncio
import json
from pathlib import Path

from tests.security.path.malformed import forms
from tests.system.fleet import Fleet

TARGETS = {"manager": b"/api/agent-services/echo/execute", "adapter": b"/execute"}


def order(path: bytes, marks: Path, number: str) -> bytes:
    """Give a sound request whose call the agent writes down."""
    body = json.dumps({"parameters": {"marks": str(marks), "number": number}}).encode()
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


async def answers(port: int, sent: bytes) -> bytes:
    """Give all that comes until the other side closes, which it has to do within 5 s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_what_hides_behind_a_malformed_request_reaches_no_agent(tmp_path: Path) -> None:
    """Each form gets one answer, 400, and the end of its connection; a sound request beside them is counted."""
    marks = tmp_path / "marks"
    async with Fleet(tmp_path) as fleet:
        await fleet.start_manager()
        ports = {"adapter": await fleet.start_agent("agent", "echo"), "manager": fleet.manager_port}
        wrong = {}
        for target, path in TARGETS.items():
            for name, form in forms(path).items():
                got = await answers(ports[target], form + order(path, marks, f"{target}: {name}"))
                if not got.startswith(b"HTTP/1.1 400 ") or got.count(b"HTTP/1.1 ") != 1:
                    wrong[target, name] = got[:200]
            sound = order(path, marks, target).replace(
                b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n"
            )
            assert (await answers(ports[target], sound)).startswith(b"HTTP/1.1 200 ")
        assert marks.read_text().splitlines() == list(TARGETS)
        assert wrong == {}
