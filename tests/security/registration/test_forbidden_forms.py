"""Registration is not a way in: over a hundred forms of service URLs, and not one of them is connected to."""

import asyncio

import pytest

from tests.manager.manager_rig import ALL, ManagerRig, running_manager
from tests.manager.service_url_forms import FORBIDDEN, MALFORMED, NEVER
from tests.security.registration.callers import ELSEWHERE, HERE, calling_from, register
from tests.security.registration.traps import Traps, noted_turns

FORMS = (*MALFORMED, *FORBIDDEN)
OF_THIS_MACHINE = ("http://127.0.0.1:8100", "http://[::1]:8100", "https://127.0.0.1:8100")
"""Sound, and nothing that a caller elsewhere may register."""
REFUSALS = {(400, "bad-request"), (403, "forbidden-service-url")}
VIEWS = ("", "/status", "/info", "/drain", "/configuration", "/logs", "/tasks")


async def use_all_of_it(rig: ManagerRig) -> None:
    """Ask for everything that makes the manager ask an instance."""
    for path in VIEWS:
        assert (await rig.client.get(f"{ALL}/echo{path}")).status_code == 200
    assert (await rig.execute()).status_code == 200
    assert (await rig.client.get("/metrics")).status_code == 200
    assert (await rig.client.get("/api/prometheus/targets")).status_code == 200


async def test_no_forbidden_form_is_taken_or_reached() -> None:
    """Each is 400 or 403 from here and from elsewhere; the manager turns to its one true instance alone."""
    assert len(set(FORMS)) >= 150
    with Traps.everywhere() as traps, noted_turns() as turns:
        async with (
            running_manager() as rig,
            calling_from(rig, ELSEWHERE) as elsewhere,
            calling_from(rig, HERE) as here,
        ):
            adapter = await rig.adapter()
            taken = []
            for number, form in enumerate((*OF_THIS_MACHINE, *FORMS)):
                url = form.replace("8100", str(traps.port))
                for client in (elsewhere, here)[: 1 if form in OF_THIS_MACHINE else 2]:
                    said = await register(client, url, f"bad-{number}")
                    taken += [(url, said)] if said not in REFUSALS else []
            assert taken == []
            assert list(rig.manager.registry.instances) == [adapter.instance_id]
            await use_all_of_it(rig)
            assert turns.ports == {adapter.port, int(rig.url.rpartition(":")[2])}
            assert len(adapter.calls) == 1
        assert turns.hosts == {"127.0.0.1"}
        assert set(turns.names) <= {"127.0.0.1"}
        assert traps.count() == 0


async def test_the_trap_sees_what_may_be_registered() -> None:
    """The test above could fail: the manager does turn to what it takes."""
    with Traps.everywhere() as traps, noted_turns() as turns:
        async with running_manager() as rig, calling_from(rig, HERE) as here:
            for host in ("127.0.0.1", "127.0.0.9", "[::1]"):
                assert await register(here, f"http://{host}:{traps.port}", f"good-{host}") == (200, "")
            asking = asyncio.create_task(rig.client.get(f"{ALL}/echo/info"))
            await rig.until(lambda: traps.port in turns.ports)
            asking.cancel()
            await asyncio.wait([asking])
            assert traps.count() > 0


@pytest.mark.parametrize("host", [ELSEWHERE, HERE])
async def test_no_list_opens_what_is_never_used(host: str) -> None:
    """All addresses are allowed, and metadata, link-local and multicast ones are 403 all the same."""
    with noted_turns() as turns:
        async with (
            running_manager(allowed_service_hosts=("0.0.0.0/0", "::/0", "169.254.169.254")) as rig,
            calling_from(rig, host) as client,
        ):
            for number, url in enumerate(NEVER):
                assert await register(client, url, f"bad-{number}") == (403, "forbidden-service-url"), url
            assert await register(client, "http://127.0.0.77:8100", "listed") == (200, "")
        assert turns.hosts <= {"127.0.0.1", "127.0.0.77"}
