"""`restart`: the same process id, a new life, and nobody is refused meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.processes.adapter_process import CODE, AdapterProcess, start
from tests.processes.conftest import Launch

CANARY = "a secret that must not be seen"


async def restarted(adapter: AdapterProcess) -> None:
    """Restart it and return when the next life is up."""
    seen = len(adapter.lines)
    await adapter.act("restart")
    await adapter.up(since=seen)


async def test_the_process_stays_and_the_instance_is_new(launch: Launch) -> None:
    """Same PID, same port, new instance id, new start; work goes on."""
    adapter = await launch("sample:surroundings")
    before = (await adapter.client.get("/info")).json()
    port, pid = adapter.port, (await adapter.execute()).json()["result"]["pid"]
    await restarted(adapter)
    after = (await adapter.client.get("/info")).json()
    assert (adapter.port, (await adapter.execute()).json()["result"]["pid"]) == (port, pid) == (port, adapter.pid)
    assert after["instanceId"] != before["instanceId"]
    assert after["startedAt"] > before["startedAt"]
    assert {line["instance_id"] for line in adapter.lines} == {before["instanceId"], after["instanceId"]}


async def test_work_in_hand_finishes_first(launch: Launch) -> None:
    """A restart is a drain."""
    adapter = await launch()
    call = asyncio.create_task(adapter.execute({"seconds": 0.3}))
    await adapter.begun()
    await restarted(adapter)
    assert (await call).status_code == 200
    assert (await adapter.execute({"a": 1})).status_code == 200


async def test_no_connection_is_refused_meanwhile(launch: Launch) -> None:
    """A caller gets its 409 or waits in the backlog for the next life: never a refused or a broken connection."""
    adapter = await launch("sample:echo")
    over = asyncio.Event()
    statuses: list[int] = []

    async def call() -> None:
        body = b'{"parameters":{}}'
        while not over.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", adapter.port)
            writer.write(b"POST /execute HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 17\r\n\r\n" + body)
            answer = await reader.read()
            writer.close()
            statuses.append(int(answer.split(maxsplit=2)[1]))

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(call()) for _ in range(4)]
        for _ in range(2):
            await restarted(adapter)
        over.set()
    assert all(caller.done() for caller in callers)
    assert set(statuses) <= {200, 409, 503}
    assert statuses.count(200) >= len(callers)


async def test_it_begins_where_it_began(tmp_path: Path) -> None:
    """Paths on its command line and in its configuration mean the same to the next life, in its own directory."""
    (tmp_path / "work").mkdir()
    agents = [
        {"id": "sample", "entryPoint": "sample:surroundings", "workingDirectory": "work", "environmentFile": "a.env"}
    ]
    (tmp_path / "a.env").write_text("FROM_FILE=yes\n")
    (tmp_path / "agents.json").write_text(json.dumps({"agents": agents, "runtime": {"logDirectory": "logs"}}))
    arguments = ["--agent", "sample", "--config", "agents.json", "--host", "127.0.0.1", "--port", "0"]
    environment = {"PYTHONPATH": str(CODE), "LOG_DIRECTORY": "", "MANAGER_TOKEN": ""}
    adapter = await start(tmp_path, *arguments, environment=environment)
    try:
        await adapter.up()
        seen: list[Any] = []
        for life in range(2):
            if life:
                await restarted(adapter)
            found = (await adapter.execute()).json()["result"]
            seen.append((found["directory"], found["path"], found["environment"]["FROM_FILE"]))
        assert seen == [(str(tmp_path / "work"), str(tmp_path / "work"), "yes")] * 2
        assert [path.name for path in (tmp_path / "logs").iterdir()] == [f"sample-{adapter.port}.log"]
        assert not (tmp_path / "work" / "logs").exists()
    finally:
        await adapter.end()


async def test_start_close_and_exit_handlers_run_in_each_life(launch: Launch, tmp_path: Path) -> None:
    """An exec runs none of them by itself."""
    adapter = await launch("sample:Careful")
    await restarted(adapter)
    await adapter.act("stop")
    assert await adapter.exited() == 0
    assert (tmp_path / "notes").read_text().splitlines() == ["start", "close", "exit handler"] * 2


async def test_the_agents_environment_holds_nothing_of_ours(launch: Launch) -> None:
    """No secret, and no trace of the restart."""
    adapter = await launch("sample:surroundings", MANAGER_TOKEN=CANARY, HOME="/root", OTHER="kept")
    adapter.client.headers["X-Manager-Token"] = CANARY
    for life in range(2):
        if life:
            await restarted(adapter)
        environment = (await adapter.execute()).json()["result"]["environment"]
        assert (environment["OTHER"], CANARY in environment.values()) == ("kept", False)
        assert not [name for name in environment if name.startswith("_AGENT")]
    assert CANARY not in json.dumps(adapter.lines) + adapter.stderr
