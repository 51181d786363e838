"""What every test shares: asyncio as the one event loop library, and that no log holds a secret."""

from collections.abc import Iterator

import pytest

from tests.security.secrets.canaries import leaks, written


@pytest.fixture
def anyio_backend() -> str:
    """Give asyncio, the event loop that the product runs on."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search the logs of all processes that the tests started, once they have all ended.

    The fixtures give each of them secrets that one recognises, and have it write below the session's directory.
    """
    yield
    found = {name: names for name, text in written(tmp_path_factory.getbasetemp()) if (names := leaks(text))}
    assert found == {}, f"secrets in logs: {found}"
