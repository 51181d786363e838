"""The console's page, its files, and the stream that its pages follow."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from agent_contract.config import Agent
from agent_contract.sse import Event
from agent_manager.console.assets import console
from agent_manager.handlers import streams

from tests.manager.manager_rig import ALL, ManagerRig, running_manager

FEED = "/api/console/feed"


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[ManagerRig]:
    """Give a manager that asks who one is."""
    (tmp_path / "keys").write_text("vera viewer viewer-key\n")
    async with running_manager(environment={"MANAGER_API_KEYS_FILE": str(tmp_path / "keys")}) as rig:
        yield rig


async def test_the_page_allows_itself_nothing_but_its_own_files(rig: ManagerRig) -> None:
    """No code in it, no style in it, no frame around it; text cannot become markup."""
    answer = await rig.client.get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "lit-html console",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert re.findall(r"<style| style=| on\w+=|<script(?! src=)", answer.text) == []


async def test_a_browser_that_is_not_signed_in_gets_the_page_with_the_401_and_no_fact(closed: ManagerRig) -> None:
    """It asks for a key; what it shows comes from routes that need one. A program gets the problem."""
    browser = await closed.client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (browser.status_code, browser.text) == (401, console().page)
    assert browser.headers["www-authenticate"].startswith("Bearer")
    assert "default-src 'none'" in browser.headers["content-security-policy"]
    program = await closed.client.get("/")
    assert (program.status_code, program.json()["code"]) == (401, "unauthenticated")
    for path in (ALL, FEED, "/api/events/recent", f"{ALL}/echo/configuration"):
        assert (await closed.client.get(path)).status_code == 401, path


async def test_every_file_of_the_page_is_there_for_ever(rig: ManagerRig) -> None:
    """Under an address that names its content, compressed where that is understood; none is asked for twice."""
    page = (await rig.client.get("/")).text
    addresses = re.findall(r'(?:src|href)="(/console/[^"]+)"', page)
    assert len(addresses) > 40
    for address in addresses:
        answer = await rig.client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await rig.client.get(address, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    plain = await rig.client.get(addresses[0], headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(console().assets[addresses[0].split("/", 3)[3]].gzipped) == plain.content


@pytest.mark.parametrize("path", ["main.js", "../index.html", "vendor/manifest.json", "..%2f..%2faccess.py", "nothing"])
async def test_no_other_file_and_no_other_version_is_there(rig: ManagerRig, path: str) -> None:
    """A page of before an upgrade is not mixed with files of after it."""
    version = console().version if path != "main.js" else "0" * 16
    answer = await rig.client.get(f"/console/{version}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def upto(events: AsyncIterator[Event], name: str) -> Event:
    """Give the next event of this name."""
    async for event in events:
        if event.event == name:
            return event
    raise AssertionError(name)


async def test_one_stream_has_all_that_pages_follow(rig: ManagerRig) -> None:
    """Who it is, the agents, their last minutes, what happened before and what happens."""
    await rig.adapter()
    async with rig.events(FEED) as events:
        hello = msgspec.json.decode((await upto(events, "hello")).data)
        assert (hello["console"], hello["stepSeconds"]) == (console().version, 5.0)
        listing, appeared = None, None
        async for event in events:
            listing = msgspec.json.decode(event.data) if event.event == "listing" else listing
            appeared = event if event.event == "journal-agent" else appeared
            if listing and appeared:
                break
        assert listing is not None
        assert [agent["id"] for agent in listing["agents"]] == ["echo"]
        await rig.act("echo", "pause")
        changed = msgspec.json.decode((await upto(events, "agent")).data)
        assert changed["agent"]["id"] == "echo"


async def test_it_is_resumed_after_the_last_event(rig: ManagerRig) -> None:
    """What happened meanwhile comes, and nothing twice."""
    await rig.adapter()
    async with rig.events(FEED) as events:
        await rig.act("echo", "pause")
        seen = [await upto(events, "journal-action") for _ in range(2)]
    await rig.act("echo", "resume")
    async with rig.events(FEED, last_event_id=seen[-1].id or "") as events:
        first = await upto(events, "journal-agent")
        assert "desired-running" in first.data


async def test_a_reader_whose_session_is_over_is_told_and_sees_no_more(
    closed: ManagerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within five seconds, although its stream was begun in time."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    headers = {"authorization": "Bearer viewer-key"}
    async with closed.events(FEED, **headers) as events:
        await upto(events, "listing")
        monkeypatch.setattr(closed.manager.credentials._keys, "_value", {})
        assert msgspec.json.decode((await upto(events, "bye")).data)["code"] == "unauthenticated"
        async with asyncio.timeout(5):
            assert [event async for event in events] == []


async def test_recent_events_are_those_of_an_agent_the_last_ones(rig: ManagerRig) -> None:
    """With their kind and id; of all agents where none is named."""
    for agent_id in ("echo", "other"):
        await rig.adapter(agent_id)
        await rig.act(agent_id, "pause")
    own = (await rig.get("/api/events/recent", agent="echo"))["events"]
    assert {event["agent"] for event in own} == {"echo"}
    assert [event["code"] for event in own if event["kind"] == "action"] == ["pause-ordered", "pause-succeeded"]
    last = (await rig.get("/api/events/recent", limit="1"))["events"]
    assert (len(last), last[0]["agent"]) == (1, "other")
    assert (await rig.client.get("/api/events/recent", params={"limit": "0"})).status_code == 400


async def test_the_configuration_is_told_without_secrets() -> None:
    """Neither environment nor arguments nor credentials in an address."""
    agents = (
        Agent(
            id="child",
            port=8100,
            command=["/bin/agent", "--password", "hunter2"],
            environment={"KEY": "hunter2"},
            max_concurrency=3,
        ),
        Agent(id="side", upstream="http://user:hunter2@127.0.0.1:9000"),
    )
    async with running_manager(*agents) as rig:
        child = await rig.get(f"{ALL}/child/configuration")
        side = await rig.get(f"{ALL}/side/configuration")
        unknown = await rig.client.get(f"{ALL}/nobody/configuration")
    assert (child["inFile"], child["runs"], child["maxConcurrency"]) == (True, "/bin/agent", 3)
    assert child["drainTimeoutSeconds"] == 30
    assert side["runs"] == "http://127.0.0.1:9000"
    assert "hunter2" not in f"{child}{side}"
    assert unknown.json()["code"] == "unknown-agent"
