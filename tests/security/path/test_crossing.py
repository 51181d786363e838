"""What crosses between a client and an agent: no credential goes there, no order to a browser comes back."""

import pytest

from tests.manager.manager_rig import ALL, running_manager

CREDENTIALS = (
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "X-Manager-Token",
    "X-API-Key",
    "X-CSRF-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Forwarded",
    "Referer",
)
ORDERS = (
    "Set-Cookie",
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Clear-Site-Data",
    "Refresh",
    "Proxy-Authenticate",
    "Service-Worker-Allowed",
    "Link",
    "Upgrade",
    "Keep-Alive",
)
MARK = "crossed-7c1f"


async def test_no_credential_of_a_client_reaches_an_agent() -> None:
    """Nothing of what a client or a proxy before it says of itself is among the headers that the agent gets."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        await rig.client.post(
            f"{ALL}/echo/execute",
            json={"parameters": {}},
            headers=dict.fromkeys(CREDENTIALS, MARK) | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        )
        assert len(adapter.calls) == 1
        assert "traceparent" in adapter.calls[0].headers
        assert [name for name, value in adapter.calls[0].headers.items() if MARK in value] == []


@pytest.mark.parametrize("status", [200, 302, 401, 422, 500])
async def test_no_order_of_an_agent_reaches_a_browser(status: int) -> None:
    """Whatever the agent's answer is, its cookies and policies stay behind."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        headers = dict.fromkeys(ORDERS, f"https://{MARK}")
        adapter.execute = lambda call: call.answer(status=status, headers=headers)
        answer = await rig.execute()
        assert adapter.calls
        assert [name for name, value in answer.headers.items() if MARK in value] == []
