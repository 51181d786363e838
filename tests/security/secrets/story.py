"""A closed fleet of real processes in which every secret is a canary, and everything that it answered."""

import json
from typing import Any

import httpx

from tests.agentctl.command import agentctl
from tests.security.secrets.canaries import canary, command_line, family, leaks
from tests.system.fleet import Fleet, free_port

AGENTS = '''
"""Agents that have a secret and tell nobody."""
import asyncio
import os

from agent_secrets_of_the_story import secret


async def work(parameters, context):
    if "fail" in parameters:
        token = secret()
        raise RuntimeError("told to fail")
    if "die" in parameters:
        os._exit(3)
    if "wait" in parameters:
        print("waiting")
        await asyncio.sleep(60)
    return {"seen": sorted(name for name, value in os.environ.items() if "canary-" in value)}
'''
READER = "import os\n\n\ndef secret():\n    return os.environ['OPENAI_API_KEY']\n"
KEYS = {role: canary(f"{role}-key") for role in ("viewer", "operator", "admin")}
TOKENS = {agent: canary(f"{agent}-token") for agent in ("plain", "walled")}
SHARED = canary("manager-token")
OF_THE_AGENT = {"OPENAI_API_KEY": canary("agent-environment")}
OTEL = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",  # nobody listens: what cannot be delivered is told
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{canary('otel-header')}",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "100",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
}


class Story:
    """The fleet, its files, and what came out of it so far."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.folder = fleet.directory
        self.said: list[tuple[str, str]] = []
        self.extra: list[str] = []
        """What became a secret on the way: the session's cookie."""
        fleet.client.event_hooks = {"response": [self._heard]}

    async def begin(self) -> None:
        """Write the files, start the manager and two agents: one in the adapter's process, one in its own."""
        self._files()
        self.fleet.settings.update(OTEL, MANAGER_TOKEN="", LOG_DIRECTORY=str(self.folder / "logs"))
        self.fleet.client.headers["authorization"] = f"Bearer {KEYS['admin']}"
        await self.fleet.start_manager(
            MANAGER_TOKEN_FILE=str(self.folder / "token"),
            MANAGER_AGENT_TOKENS_FILE=str(self.folder / "agents"),
            MANAGER_API_KEYS_FILE=str(self.folder / "keys"),
        )
        for agent, token in TOKENS.items():
            how = ("--config", str(self.folder / "agents.json"))
            await self.fleet.start_adapter(agent, agent, how, MANAGER_TOKEN=token)

    async def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """Send a request, with another key if one is given."""
        headers = {**options.pop("headers", {}), **({} if key is None else {"authorization": f"Bearer {key}"})}
        return await self.fleet.client.request(method, path, headers=headers, **options)

    async def first_of(self, path: str) -> None:
        """Hear how a stream begins that never ends."""
        async with self.fleet.client.stream("GET", path) as answer:
            text = ""
            async for piece in answer.aiter_text():
                text += piece
                if len(text) > 500:
                    break
            self.said.append((path, text))

    def type(self, *arguments: str, key: str = KEYS["admin"]) -> int:
        """Type a command of agentctl; gives its exit code."""
        variables = {"AGENT_MANAGER_API_KEY": key, **OF_THE_AGENT}
        run = agentctl(*arguments, manager=self.fleet.manager_url, variables=variables, cwd=self.folder)
        self.said.append((f"agentctl {' '.join(arguments)}", run.stdout + run.stderr))
        return run.returncode

    def look_at_processes(self) -> list[int]:
        """Take the command lines of all processes; gives their ids."""
        pids = sorted(set().union(*(family(process.pid) for process in self.fleet.processes.values())))
        self.said += [(f"argv of {pid}", command_line(pid)) for pid in pids]
        return pids

    def found(self) -> dict[str, set[str]]:
        """Give the canaries that are in anything that was said, by where."""
        return {place: names for place, text in self.said if (names := leaks(text, *self.extra))}

    async def _heard(self, answer: httpx.Response) -> None:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return
        text = (await answer.aread()).decode(errors="replace")
        given = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie")
        self.said.append((f"{answer.request.method} {answer.request.url.path} {answer.status_code}", given + text))

    def _files(self) -> None:
        (self.folder / "secret_agents.py").write_text(AGENTS)
        (self.folder / "agent_secrets_of_the_story.py").write_text(READER)
        (self.folder / "a.env").write_text(f"FROM_FILE={canary('environment-file')}\n")
        (self.folder / "token").write_text(f"{SHARED}\n")
        (self.folder / "agents").write_text("".join(f"{agent} {token}\n" for agent, token in TOKENS.items()))
        (self.folder / "keys").write_text("".join(f"{role} {role} {key}\n" for role, key in KEYS.items()))
        shared = {"entryPoint": "secret_agents:work", "environmentFile": "a.env", "environment": OF_THE_AGENT}
        agents = [
            {"id": "plain", "port": free_port(), **shared},
            {"id": "walled", "port": free_port(), "isolation": "process", **shared},
        ]
        (self.folder / "agents.json").write_text(json.dumps({"agents": agents}))


def paths(agent: str) -> list[str]:
    """Give every route that only looks, of one agent and of all."""
    one = f"/api/agent-services/{agent}"
    return [
        *(one, f"{one}/status", f"{one}/info", f"{one}/drain", f"{one}/configuration", f"{one}/tasks"),
        *(f"{one}/actions", f"{one}/logs?lines=5000", "/api/agent-services", "/api/tasks", "/api/events/recent"),
        *("/api/version", "/api/prometheus/targets", "/metrics", "/health", "/ready", "/api/session", "/"),
        *("/schema", "/schema/openapi.json", "/nothing?token=" + canary("query")),
    ]
