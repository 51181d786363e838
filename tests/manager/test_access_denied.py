"""Deny by default: nothing is served that the table does not say who may use, and nothing old opens anything."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_manager.access import Who
from agent_manager.app import TABLE, application
from agent_manager.credentials import Credentials
from agent_manager.handlers import service
from agent_manager.handlers.routes import Route
from agent_manager.sessions import Sessions
from litestar import Litestar

from tests.manager.manager_rig import ManagerRig, running_manager
from tests.manager.stage import Clock


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a manager that asks everyone who they are."""
    (tmp_path / "keys").write_text("ada admin admin-key\n")
    (tmp_path / "agents").write_text("other other-secret\n")
    return {
        "MANAGER_TOKEN": "shared-secret",
        "MANAGER_AGENT_TOKENS_FILE": str(tmp_path / "agents"),
        "MANAGER_API_KEYS_FILE": str(tmp_path / "keys"),
    }


def test_a_route_that_nobody_may_use_cannot_be_made() -> None:
    """Who may use it has no default."""
    made: Any = Route
    with pytest.raises(TypeError, match="who"):
        made(method="GET", path="/new", handler=service.version, summary="New")


async def test_nothing_is_served_but_the_table(files: dict[str, str]) -> None:
    """No route of the framework's own, none added past the table."""
    async with running_manager(environment=files) as rig:
        served: Any = application(rig.parts.manager)
        assert isinstance(served, Litestar)
        assert {route.path_format for route in served.routes} == {
            route.path.replace(":str", "").replace(":path", "") for route in TABLE
        }


async def statuses(rig: ManagerRig, headers: dict[str, str]) -> set[int]:
    """Give what every route that is not for anyone answers."""
    found = set()
    for route in TABLE:
        if route.who is not Who.ANYONE:
            path = route.path.replace("{agent_id:str}", "echo").replace("{task_id:str}", "t")
            request = rig.client.stream(route.method, path.replace("{action_id:str}", "a"), headers=headers)
            async with request as answer:
                found.add(answer.status_code)
    return found


async def test_a_session_that_is_over_opens_nothing(files: dict[str, str]) -> None:
    """Nor does one whose key is no longer there, or one with a letter changed."""
    past = datetime.now(UTC) - timedelta(hours=13)
    late = Sessions(Credentials(files, Clock()), lambda: past).open(b"admin-key").token
    fresh = Sessions(Credentials(files, Clock()), lambda: datetime.now(UTC)).open(b"admin-key").token
    async with running_manager(environment=files) as rig:
        for cookie in (late, fresh[:-4] + "AAAA", ""):
            headers = {"cookie": f"agent-manager={cookie}", "x-requested-with": "page", "sec-fetch-site": "same-origin"}
            assert await statuses(rig, headers) == {401}


async def test_an_agent_s_own_token_opens_no_route_of_people(files: dict[str, str]) -> None:
    """Not as a bearer either: nothing but the adapters' routes, and execute for its code."""
    async with running_manager(environment=files) as rig:
        assert await statuses(rig, {"authorization": "Bearer other-secret"}) == {401}
        assert await statuses(rig, {"authorization": "Bearer shared-secret"}) == {401}
