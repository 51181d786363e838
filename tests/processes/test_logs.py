"""What agent code says becomes log lines: on stdout and in the file, with the task that said it; `/logs` shows them."""

import asyncio
import json
from pathlib import Path
from typing import Any

from agent_contract.sse import EventParser

from tests.processes.conftest import Launch


def written(directory: Path) -> list[dict[str, Any]]:
    """Give the lines of the one log file."""
    [file] = directory.glob("sample*.log")
    return [json.loads(line) for line in file.read_text().split("\n") if line]


async def test_all_that_agent_code_says_is_logged_with_its_task(launch: Launch, tmp_path: Path) -> None:
    """`print`, standard logging, the context's logger, from a thread too; one JSON object a line, twice the same."""
    adapter = await launch("sample:speak")
    task_id = (await adapter.execute({"word": "ü\u2028"})).json()["taskId"]
    await adapter.said("from a thread")
    said = {line["message"]: line for line in adapter.lines if line.get("task_id") == task_id}
    expected = {
        "by print ü\u2028": ("info", "print"),
        "by logging ü\u2028": ("warning", "mine"),
        "by the context": ("info", "agent"),
        "from a thread": ("info", "print"),
    }
    assert {message: (line["level"], line["logger"]) for message, line in said.items()} == expected
    instance = (await adapter.client.get("/info")).json()["instanceId"]
    assert {(line["agent"], line["instance_id"]) for line in adapter.lines} == {("sample", instance)}
    await adapter.act("stop")
    await adapter.exited()
    assert written(tmp_path) == adapter.lines


async def test_a_childs_stderr_is_logged(launch: Launch) -> None:
    """Each line of it, with the task's id as long as there is only one."""
    adapter = await launch("child.py")
    task_id = (await adapter.execute({"say": "thinking\nhard"})).json()["taskId"]
    for word in ("thinking", "hard"):
        line = await adapter.said(word)
        assert (line["logger"], line["task_id"]) == ("child", task_id)


async def test_the_tail_is_served(launch: Launch) -> None:
    """The last N lines, as they stand in the file."""
    adapter = await launch("sample:speak")
    await adapter.execute({"word": "last"})
    await adapter.said("from a thread")
    everything: list[str] = []
    async with asyncio.timeout(10):  # a line is on stdout a moment before it is in the file
        while [json.loads(line) for line in everything] != adapter.lines:
            everything = (await adapter.client.get("/logs")).json()["lines"]
    assert (await adapter.client.get("/logs?lines=2")).json()["lines"] == everything[-2:]


async def test_the_tail_is_followed(launch: Launch) -> None:
    """Each new line as it comes; a drain ends the stream instead of waiting for it."""
    adapter = await launch("sample:speak")
    came: asyncio.Queue[str] = asyncio.Queue()

    async def follow() -> None:
        parser = EventParser()
        async with adapter.client.stream("GET", "/logs?lines=1&follow=true") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            async for piece in answer.aiter_raw():
                for event in parser.feed(piece):
                    came.put_nowait(json.loads(json.loads(event.data))["message"])

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await came.get()
        await adapter.execute({"word": "new"})
        assert await came.get() == "by print new"
        await adapter.act("stop")
    assert await adapter.exited() == 0


async def test_without_a_file_work_goes_on(launch: Launch, tmp_path: Path) -> None:
    """The directory cannot be made: stdout has the lines, and `/logs` says why it has none."""
    (tmp_path / "file").write_text("")
    adapter = await launch("sample:echo", LOG_DIRECTORY=str(tmp_path / "file"))
    assert (await adapter.said("log file unavailable"))["level"] == "warning"
    assert (await adapter.execute({"a": 1})).status_code == 200
    answer = await adapter.client.get("/logs")
    assert (answer.status_code, answer.json()["code"]) == (503, "logs-unavailable")
