"""One source cannot fill the manager, and others still register."""

import pytest
from agent_manager import registrations

from tests.manager.manager_rig import ALL, running_manager
from tests.security.registration.callers import HERE, calling_from, register

DEEP = b'{"id":"echo","serviceUrl":"http://127.0.0.1:1","instanceId":"a","metadata":' + b'{"a":' * 10_000


async def test_a_flood_of_registrations_of_one_source_leaves_room_for_others() -> None:
    """It has 2,000 instances, a tenth of what is taken in all; then 503, which says from where."""
    async with running_manager() as rig, calling_from(rig, HERE) as flood:
        said = [
            await register(flood, f"http://{HERE}:{number}", f"i-{number}", f"a-{number}") for number in range(1, 2501)
        ]
        most = registrations.MOST_OF_ONE
        assert said == [(200, "")] * most + [(503, "unavailable")] * (2500 - most)
        assert len(rig.manager.registry.instances) == most
        assert await register(flood, f"http://{HERE}:1", "i-1", "a-1") == (200, "")
        await rig.adapter()
        assert (await rig.execute()).status_code == 200


async def test_who_leaves_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is who is there."""
    monkeypatch.setattr(registrations, "MOST_OF_ONE", 1)
    async with running_manager() as rig:
        adapter = await rig.adapter()
        assert (await register(rig.client, "http://127.0.0.1:1", "next")) == (503, "unavailable")
        await rig.unregister(adapter)
        assert (await register(rig.client, "http://127.0.0.1:1", "next")) == (200, "")


@pytest.mark.parametrize("route", ["register", "heartbeat", "unregister", "results"])
async def test_a_body_nested_ten_thousand_deep_is_400(route: str) -> None:
    """No crash."""
    async with running_manager() as rig:
        answer = await rig.client.post(f"{ALL}/{route}", content=DEEP + b"1" + b"}" * 10_001)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
