"""A hundred thousand registrations of one source leave the memory of a real manager bounded."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.manager.manager_process import manager
from tests.manager.manager_rig import ALL

pytestmark = pytest.mark.full

COUNT = 100_000
MOST_GROWTH_BYTES = 64 << 20
"""Two thousand instances at some 5 KB with their agents, and what an allocator keeps."""


def resident(pid: int) -> int:
    """Give a process's resident memory in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def flood(port: int, count: int) -> dict[bytes, int]:
    """Register so many instances over one connection; gives how often each status was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses: dict[bytes, int] = {}
    for number in range(count):
        url = f"http://127.0.0.1:{number % 60_000 + 1}"
        body = json.dumps({"id": f"a-{number}", "serviceUrl": url, "instanceId": f"i-{number}"}).encode()
        head = f"POST {ALL}/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(length)
        status = answer.split()[1]
        statuses[status] = statuses.get(status, 0) + 1
    writer.close()
    await writer.wait_closed()
    return statuses


@pytest.mark.timeout(300)
async def test_a_hundred_thousand_registrations_leave_memory_bounded(tmp_path: Path) -> None:
    """It grows by what one source may have, and not by what it says."""
    async with manager(tmp_path) as process:
        pid = process.process.pid
        before = resident(pid)
        statuses = await flood(int(process.url.rpartition(":")[2]), COUNT)
        growth = resident(pid) - before
        assert statuses[b"200"] < COUNT / 10
        assert sum(statuses.values()) == COUNT
        assert growth < MOST_GROWTH_BYTES
        assert (await process.client.get("/ready")).status_code == 200
