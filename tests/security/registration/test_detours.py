"""No redirect and no proxy takes the manager anywhere else than to the address that was checked."""

from pathlib import Path

import pytest
from agent_contract.asgi import Receive, Scope, Send, read_body, send_answer

from tests.manager.fake_adapter import FakeAdapter, fake_adapter
from tests.manager.manager_process import manager
from tests.manager.manager_rig import ALL, running_manager
from tests.security.registration.traps import Traps

PATHS = ("status", "info", "drain", "logs", "tasks")
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class Redirector(FakeAdapter):
    """Sends whoever asks somewhere else."""

    status_code = 307
    target = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `Location`."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        await read_body(receive, 1 << 20)
        self.requests.append(scope["path"])
        location = (b"location", f"{self.target}{scope['path']}".encode())
        await send_answer(send, self.status_code, [location], b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    """Neither for a call, nor for what the manager asks or scrapes by itself."""
    redirector = await Redirector("echo").start()
    redirector.status_code = status
    with Traps.at("127.0.0.2") as traps:
        redirector.target = f"http://127.0.0.2:{traps.port}"
        try:
            async with running_manager() as rig:
                assert (await rig.register(redirector)).status_code == 200
                answer = await rig.execute()
                assert answer.status_code in (status, 502)
                for path in PATHS:
                    assert (await rig.client.get(f"{ALL}/echo/{path}")).status_code in (200, 502, 503), path
                await rig.act("echo", "pause")
                assert (await rig.client.get("/metrics")).status_code == 200
        finally:
            await redirector.stop()
        assert traps.count() == 0
    assert {"/execute", "/status", "/info", "/metrics", "/action"} <= set(redirector.requests)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real process with every proxy variable set calls, asks and scrapes its agents directly."""
    with Traps.at("127.0.0.1") as traps:
        for variable in PROXIES:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{traps.port}")
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        async with fake_adapter("echo") as adapter, manager(tmp_path) as process:
            await process.register(adapter)
            answer = await process.client.post(f"{ALL}/echo/execute", json={"parameters": {}})
            assert answer.status_code == 200
            for path in ("status", "info", "logs"):
                assert (await process.client.get(f"{ALL}/echo/{path}")).status_code == 200
            assert (await process.client.get("/metrics")).status_code == 200
            assert "GET /metrics" in adapter.requests
        assert traps.count() == 0
