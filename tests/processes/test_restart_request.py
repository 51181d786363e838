"""What a request says reaches nothing of the process that a restart begins."""

from pathlib import Path

from tests.processes.conftest import Launch

CANARY = "canary-of-the-request"


def seen(pid: int) -> list[str]:
    """Give what a process was started with: its command line, its environment, its directory."""
    place = Path(f"/proc/{pid}")
    texts = [(place / name).read_bytes().decode() for name in ("cmdline", "environ")]
    return [*texts, str((place / "cwd").resolve())]


async def test_a_restart_takes_nothing_from_the_request_into_the_new_process(launch: Launch) -> None:
    """No header, no query, no member of the body: it starts as the one before was started."""
    adapter = await launch()
    before, lines = seen(adapter.pid), len(adapter.lines)
    answer = await adapter.client.post(
        "/action",
        params={"PATH": CANARY, "agent": CANARY},
        headers={"X-Canary": CANARY, "Agent-Entry-Point": CANARY, "Cookie": f"a={CANARY}", "User-Agent": CANARY},
        json={"action": "restart", "timeoutSeconds": 1.25},
    )
    assert answer.status_code == 202
    await adapter.up(since=lines)
    after = seen(adapter.pid)
    assert CANARY not in "".join(after)
    own = [line for line in after[1].split("\0") if not line.startswith("_AGENT_ADAPTER_SOCKET=")]
    assert (after[0], sorted(filter(None, own)), after[2]) == (
        before[0],
        sorted(filter(None, before[1].split("\0"))),
        before[2],
    )
    assert all(CANARY not in str(line) for line in adapter.lines)


async def test_an_order_with_more_in_it_than_an_order_is_refused(launch: Launch) -> None:
    """Nobody slips a command line or a variable into it."""
    adapter = await launch()
    for more in ({"arguments": [CANARY]}, {"environment": {"A": CANARY}}, {"command": CANARY}):
        answer = await adapter.client.post("/action", json={"action": "restart", **more})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert (await adapter.client.get("/status")).json()["status"] == "running"
