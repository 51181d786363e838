"""A small story of a fleet whose secrets are recognisable: none of them is in anything that comes out of it."""

from pathlib import Path
from typing import Any

from tests.security.secrets.canaries import canary, environment, family, leaks, written
from tests.security.secrets.story import KEYS, OF_THE_AGENT, TOKENS, Story, paths
from tests.system.fleet import Fleet

PARAMETER = canary("parameter")
ONE = "/api/agent-services"


async def looked_at(story: Story) -> None:
    """Read every route that only looks, and how the streams begin."""
    for agent in TOKENS:
        for path in paths(agent):
            await story.ask("GET", path)
    for path in (f"{ONE}?watch=true", "/api/console/feed", f"{ONE}/plain/logs?follow=true&lines=100"):
        await story.first_of(path)


async def refused(story: Story) -> None:
    """Come with wrong credentials of each kind."""
    for path in (ONE, f"{ONE}/plain"):
        assert (await story.ask("GET", path, canary("wrong-key"))).status_code == 401
    cookie = {"cookie": f"agent-manager={canary('wrong-cookie')}", "authorization": ""}
    assert (await story.ask("GET", ONE, headers=cookie)).status_code == 401
    assert (await story.ask("POST", "/api/session", json={"key": canary("wrong-login")})).status_code == 401
    token = {"x-manager-token": canary("wrong-token")}
    assert (await story.ask("POST", f"{ONE}/register", headers=token, json={})).status_code == 401
    assert (await story.ask("POST", f"{ONE}/plain/action", KEYS["viewer"], json={})).status_code == 403


async def signed_in(story: Story) -> None:
    """Sign in at the console, order something, and sign out."""
    answer = await story.ask("POST", "/api/session", json={"key": KEYS["operator"]})
    story.extra.append(answer.headers["set-cookie"].partition("=")[2].partition(";")[0])
    page = {"x-requested-with": "agent-console", "authorization": ""}
    for action in ("pause", "resume"):
        assert (await story.ask("POST", f"{ONE}/plain/action", headers=page, json={"action": action})).is_success
    assert (await story.ask("DELETE", "/api/session", headers=page)).status_code == 204


async def worked(story: Story) -> None:
    """Succeed, fail with a traceback, be wrong, crash, be cancelled; agent code sees its own secrets alone."""
    for agent in TOKENS:
        seen = await called(story, agent, note=PARAMETER)
        assert seen == (200, {"seen": ["FROM_FILE", "OPENAI_API_KEY"]})
        assert (await called(story, agent, fail=1))[0] == 500
        wrong = await story.ask("POST", f"{ONE}/{agent}/execute", json={"parameters": {}, "more": PARAMETER})
        assert wrong.status_code == 400
    assert (await called(story, "walled", die=1))[0] == 500
    answer = await story.ask(
        "POST", f"{ONE}/plain/execute", json={"parameters": {"wait": 1}}, headers={"prefer": "respond-async"}
    )
    assert (await story.ask("DELETE", answer.headers["location"])).status_code == 202


async def called(story: Story, agent: str, **parameters: Any) -> tuple[int, Any]:
    """Give status and result of a call."""
    answer = await story.ask("POST", f"{ONE}/{agent}/execute", json={"parameters": parameters})
    return answer.status_code, answer.json().get("result")


async def restarted(story: Story) -> None:
    """Replace a process by itself, and wait for the new one."""
    (before,) = await story.fleet.instances("plain")
    await story.ask("POST", f"{ONE}/plain/action", json={"action": "restart", "timeoutSeconds": 1})

    async def again() -> bool:
        there = [one for one in await story.fleet.instances("plain") if one["state"] == "running"]
        return bool(there) and there[0]["instanceId"] != before["instanceId"]

    await story.fleet.until(again, "plain is back")


def typed(story: Story) -> None:
    """Type what an operator types."""
    assert story.type("get", "agents", "-o", "json") == 0
    assert story.type("describe", "agent", "plain") == 0
    assert story.type("get", "tasks") == 0
    assert story.type("execute", "walled", "-p", "fail=1") == 1
    assert story.type("logs", "plain", "--tail", "1000") == 0
    assert story.type("config", "--config", "agents.json") == 0
    assert story.type("get", "agents", key=canary("wrong-key")) == 1


async def test_no_secret_is_in_anything_that_comes_out_of_a_fleet(tmp_path: Path) -> None:
    """Answers, pages, streams, command lines, logs on disk and on standard output, and what agentctl prints."""
    async with Fleet(tmp_path) as fleet:
        story = Story(fleet)
        await story.begin()
        await refused(story)
        await signed_in(story)
        await worked(story)
        await restarted(story)
        await looked_at(story)
        typed(story)
        assert len(story.look_at_processes()) >= 4
        of_child = environment(max(family(fleet.processes["walled"].pid)))
        await story.ask("POST", f"{ONE}/walled/action", json={"action": "stop"})
        assert await fleet.exit_code("walled") == 0
        for name in ("plain", "manager"):
            fleet.processes[name].terminate()
            assert await fleet.exit_code(name) == 0
        assert len(story.said) > 60
        assert story.found() == {}
    logs = dict(written(tmp_path))
    assert {"manager.log", "plain.log", "walled.log"} <= set(logs)
    assert "told to fail" in logs["plain.log"]
    assert "Traceback" in logs["plain.log"]
    assert {name: found for name, text in logs.items() if (found := leaks(text, *story.extra))} == {}
    assert {value for value in of_child.values() if leaks(value)} <= {
        *OF_THE_AGENT.values(),
        canary("environment-file"),
    }
