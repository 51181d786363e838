"""What an adapter says when others can reach it and nobody is asked who they are."""

from pathlib import Path

from tests.processes.adapter_process import agent

WARNING = "anyone who reaches this port may use and stop the agent: set MANAGER_TOKEN_FILE"


async def test_an_open_adapter_says_so_as_it_starts(tmp_path: Path) -> None:
    """It is its container's service, so it listens; the warning is for whoever runs it elsewhere."""
    async with agent(tmp_path, "sample:echo", "--host", "0.0.0.0") as adapter:
        line = await adapter.said(WARNING)
        assert (line["level"], line["host"]) == ("warning", "0.0.0.0")


async def test_one_that_asks_for_a_token_has_nothing_to_warn_of(tmp_path: Path) -> None:
    """Nor has one that only its own machine reaches."""
    async with agent(tmp_path, "sample:echo", "--host", "0.0.0.0", MANAGER_TOKEN="secret") as adapter:  # noqa: S106  # a test's
        assert all(line["message"] != WARNING for line in adapter.lines)
    async with agent(tmp_path, "sample:echo") as adapter:
        assert all(line["message"] != WARNING for line in adapter.lines)
