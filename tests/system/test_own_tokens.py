"""A manager and agents of which each has a token of its own, as real processes."""

import os
from pathlib import Path

import httpx

from tests.system.fleet import Fleet


async def asked(port: int, said: str | None) -> int:
    """Ask an adapter itself, with a token or none; gives its status."""
    named = {} if said is None else {"x-manager-token": said}
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{port}/status", headers=named)).status_code


async def call(fleet: Fleet, callee: str, **parameters: object) -> tuple[int, object]:
    """Call an agent through the manager; gives status and result."""
    answer = await fleet.client.post(f"/api/agent-services/{callee}/execute", json={"parameters": parameters})
    return answer.status_code, answer.json().get("result", answer.json().get("code"))


async def test_agents_with_tokens_of_their_own_are_called_and_call_one_another(tmp_path: Path) -> None:
    """The manager proves itself to each with what its own token signed; nobody's token opens another."""
    (tmp_path / "agents").write_text("planner planner-token\nexecutor executor-token\n")
    (tmp_path / "executor").write_text("executor-token\n")
    async with Fleet(tmp_path) as fleet:
        await fleet.start_manager(MANAGER_AGENT_TOKENS_FILE=str(tmp_path / "agents"))
        planner = await fleet.start_agent("p", "planner", "relay", MANAGER_TOKEN="planner-token")  # noqa: S106  # a test's
        executor = await fleet.start_agent("e", "executor", MANAGER_TOKEN_FILE=str(tmp_path / "executor"))
        assert await call(fleet, "executor", number=1) == (200, {"number": 1})
        relayed = {"agent": "executor", "parameters": {"number": 2}}
        assert await call(fleet, "planner", **relayed) == (200, {"number": 2})
        assert (
            await fleet.client.post("/api/agent-services/planner/action", json={"action": "pause"})
        ).status_code == 202
        assert await asked(executor, None) == 401
        assert await asked(executor, "planner-token") == 403
        assert await asked(planner, "executor-token") == 403
        (tmp_path / "agents").write_text("planner planner-token\nexecutor executor-token\nexecutor next-token\n")
        os.utime(tmp_path / "agents", ns=(1, 1))
        (tmp_path / "executor").write_text("next-token\n")

        async def rotated() -> bool:
            return await asked(executor, "executor-token") == 403

        await fleet.until(rotated, "the adapter has read its token again")
        assert await call(fleet, "executor", number=3) == (200, {"number": 3})
