"""What is shown of a URL."""

import pytest
from agent_contract.shown import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://planner:8100", "http://planner:8100"),
        ("http://user:pass@planner:8100/a@b", "http://planner:8100/a@b"),
        ("https://us@er:pa@ss@[::1]:8100/", "https://[::1]:8100/"),
        ("user:pass@planner", "planner"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_user_and_password(url: str, shown: str) -> None:
    """Everything else of it stays."""
    assert shown_url(url) == shown
