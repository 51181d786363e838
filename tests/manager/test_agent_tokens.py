"""What the manager says to whom, so that no agent learns what opens another one."""

from pathlib import Path
from typing import Any

import jwt
import pytest
from agent_contract.tokens import signing_key
from agent_manager.agent_client import Origin
from agent_manager.agent_tokens import AgentProofs
from agent_manager.credentials import Credentials

from tests.manager.stage import Clock

NOON = 1_800_000_000.0
PLACE = Origin("10.0.0.1", 8100)


class Desk:
    """A manager's proofs, with clocks that are moved by hand."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.clock, self.wall = Clock(), NOON
        credentials = Credentials(variables, self.clock)
        self.proofs = AgentProofs(credentials, self.clock, lambda: self.wall)

    def said(self, agent_id: str = "planner", place: Origin = PLACE) -> str | None:
        """Give what is said to an instance."""
        return next((value.decode() for _, value in self.proofs.headers(agent_id, place)), None)


def claims(said: str | None, token: bytes, audience: str = "planner") -> dict[str, Any]:
    """Give the claims of what was signed with this token."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    read: dict[str, Any] = jwt.decode(said or "", signing_key(token), ["HS256"], options, audience=audience)
    return read


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Give a file with tokens of two agents."""
    (tmp_path / "agents").write_text("planner own\nplanner later\nexecutor another\n")
    return str(tmp_path / "agents")


def test_the_shared_token_is_said_where_it_came_from() -> None:
    """The simple mode; to one that has not come yet, too, for all have it."""
    desk = Desk({"MANAGER_TOKEN": "shared,older"})
    assert desk.said() == "shared"
    desk.proofs.came("planner", PLACE, None)
    assert desk.said() == "shared"


def test_one_with_a_token_of_its_own_gets_what_that_token_signed(own: str) -> None:
    """For its agent alone, for a minute, and never the shared token."""
    desk = Desk({"MANAGER_TOKEN": "shared", "MANAGER_AGENT_TOKENS_FILE": own})
    desk.proofs.came("planner", PLACE, b"later")
    found = claims(desk.said(), b"later")
    assert found == {"iss": "agent-manager", "aud": "planner", "iat": NOON, "exp": NOON + 60}


def test_one_that_has_not_come_is_asked_with_its_first_token(own: str) -> None:
    """Another agent, that has none, with the shared one."""
    desk = Desk({"MANAGER_TOKEN": "shared", "MANAGER_AGENT_TOKENS_FILE": own})
    assert claims(desk.said(), b"own")["aud"] == "planner"
    assert claims(desk.said("executor"), b"another", "executor")["aud"] == "executor"
    assert desk.said("retriever") == "shared"


def test_nothing_is_said_to_a_stranger_where_the_cluster_gives_tokens() -> None:
    """A pod that calls itself an agent must not learn the shared token by being asked."""
    desk = Desk({"MANAGER_TOKEN": "shared", "MANAGER_TOKEN_REVIEW_AUDIENCE": "agent-manager"})
    assert desk.said() is None
    desk.proofs.came("planner", PLACE, b"projected")
    assert claims(desk.said(), b"projected")["aud"] == "planner"
    assert desk.said("planner", Origin("10.0.0.2", 8100)) is None


def test_an_agent_cannot_change_what_another_is_told(own: str) -> None:
    """Coming from the address of another agent."""
    desk = Desk({"MANAGER_AGENT_TOKENS_FILE": own})
    desk.proofs.came("executor", PLACE, b"another")
    assert claims(desk.said(), b"own")["aud"] == "planner"


def test_it_is_signed_anew_each_half_minute_and_when_the_clock_was_set(own: str) -> None:
    """Not at each call; and never old by the clock that adapters will hear of."""
    desk = Desk({"MANAGER_AGENT_TOKENS_FILE": own})
    first = desk.said()
    desk.clock.now, desk.wall = desk.clock.now + 29, desk.wall + 29
    assert desk.said() == first
    desk.clock.now, desk.wall = desk.clock.now + 1, desk.wall + 1
    assert claims(desk.said(), b"own")["iat"] == NOON + 30
    desk.wall += 3600
    assert claims(desk.said(), b"own")["iat"] == NOON + 3630


def test_what_is_remembered_is_bounded() -> None:
    """Whoever may register cannot fill the memory with places."""
    desk = Desk({"MANAGER_TOKEN": "shared"})
    for number in range(40_100):
        desk.proofs.came("planner", Origin("10.0.0.1", number), None)
    assert len(desk.proofs._came_with) == 40_000
