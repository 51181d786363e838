"""The ways in which the stories plug an agent in: a Python callable, a command, an HTTP service that streams."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.system.fleet import Fleet
from tests.system.steered_agents import opened

HERE = Path(__file__).parent
COMMAND = ("--", sys.executable, str(HERE / "steered_command.py"))


async def start(fleet: Fleet, agent: str, function: str, *, name: str | None = None, **settings: str) -> int:
    """Start an adapter of one of the steered agents; gives its port."""
    how = ("--entry-point", f"steered_agents:{function}")
    return await fleet.start_adapter(name or agent, agent, how, AGENT_WORKING_DIRECTORY=str(HERE), **settings)


async def start_command(fleet: Fleet, agent: str, **settings: str) -> int:
    """Start an adapter of the agent that speaks JSON lines; gives its port."""
    return await fleet.start_adapter(agent, agent, COMMAND, **settings)


@asynccontextmanager
async def streaming_service() -> AsyncIterator[str]:
    """Give the URL of an HTTP service that answers `POST /execute` with gated chunks as an event stream."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        parameters = await _parameters(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number in range(parameters["chunks"]):
            await opened(parameters, number)
            writer.write(b'event: chunk\ndata: {"number": %d}\n\n' % number)
            await writer.drain()
        writer.write(b'event: result\ndata: {"result": "all"}\n\n')
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # the adapter only looked whether somebody listens
    finally:
        writer.close()


async def _parameters(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    body = await reader.readexactly(int(lines[b"content-length"]))
    parameters: dict[str, Any] = json.loads(body)["parameters"]
    return parameters
