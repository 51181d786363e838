"""The outline agent: a program in another language, spoken to in JSON lines as an adapter does."""

import json
import shutil
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "agents" / "outline.mjs"
LONG = "line of five whole words\n" * 400_000

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="the outline agent is JavaScript: needs node")


class Agent:
    """The running program."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    async def send(self, *messages: dict[str, Any]) -> None:
        """Write a line for each message."""
        self.stdin.writelines(json.dumps(message).encode() + b"\n" for message in messages)
        await self.stdin.drain()

    async def receive(self) -> dict[str, Any]:
        """Give the next message."""
        message: dict[str, Any] = json.loads(await self.stdout.readline())
        return message

    async def answer(self) -> dict[str, Any]:
        """Give the next message that is no progress."""
        while "progress" in (message := await self.receive()):
            pass
        return message


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    """Give the program, running; it ends when nobody speaks to it any more."""
    process = await create_subprocess_exec("node", str(PROGRAM), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    agent = Agent(process)
    yield agent
    agent.stdin.close()
    await process.communicate()
    assert process.returncode == 0


async def test_a_text_has_its_headings(agent: Agent) -> None:
    """A comment in a fenced block is no heading."""
    text = "# One\n\nTwo words.\n\n```sh\n# no heading\n```\n\n### Three ###\n"
    await agent.send({"taskId": "a", "parameters": {"text": text, "colour": "red"}, "traceparent": "00-1-2-01"})
    headings = [{"level": 1, "title": "One", "line": 1}, {"level": 3, "title": "Three", "line": 9}]
    assert await agent.receive() == {"taskId": "a", "result": {"headings": headings, "words": 12, "lines": 9}}


@pytest.mark.parametrize("parameters", [{}, {"text": 7}, {"text": None}, None])
async def test_a_bad_parameter_is_the_caller_s_mistake(agent: Agent, parameters: object) -> None:
    """The error's type says whose fault it is."""
    await agent.send({"taskId": "a", "parameters": parameters})
    error = {"type": "BadParameters", "message": "parameters.text: a text is needed"}
    assert await agent.receive() == {"taskId": "a", "error": error}


async def test_what_is_no_task_is_said_on_stderr_and_passed_over(agent: Agent) -> None:
    """A broken line costs itself alone."""
    agent.stdin.write(b"oops\n[]\nnull\n")
    await agent.send({"taskId": "a", "parameters": {"text": ""}})
    assert await agent.receive() == {"taskId": "a", "result": {"headings": [], "words": 0, "lines": 0}}
    assert agent.process.stderr
    assert (await agent.process.stderr.readline()).startswith(b"cannot read a line: ")


async def test_a_short_task_overtakes_a_long_one(agent: Agent) -> None:
    """Several tasks may be in hand at once, and each says how far it is."""
    await agent.send({"taskId": "long", "parameters": {"text": LONG}})
    assert (await agent.receive())["taskId"] == "long"
    await agent.send({"taskId": "short", "parameters": {"text": "# Short"}})
    assert (await agent.answer())["taskId"] == "short"
    last = await agent.answer()
    assert (last["taskId"], last["result"]["words"]) == ("long", 2_000_000)


async def test_a_cancelled_task_ends_early(agent: Agent) -> None:
    """It answers that it was cancelled, and the next task with that id starts afresh."""
    await agent.send({"taskId": "a", "parameters": {"text": LONG}})
    progress = (await agent.receive())["progress"]
    assert progress == {"fraction": 1000 / 400_000, "message": "1000 of 400000 lines"}
    await agent.send({"taskId": "a", "cancel": True}, {"taskId": "unknown", "cancel": True})
    assert await agent.answer() == {"taskId": "a", "error": {"type": "Error", "message": "cancelled"}}
    await agent.send({"taskId": "a", "parameters": {"text": "#"}})
    assert (await agent.answer())["result"]["words"] == 1
