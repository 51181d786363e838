"""Tokens that the cluster gave: asked for once, remembered for a while, and still good while nobody can be asked."""

import asyncio
import base64
import json
from typing import Any

import pytest
from agent_contract.problems import Problem
from agent_manager.cluster.api import ApiFailed, ApiUnreachable
from agent_manager.cluster.token_reviews import TokenReviews
from agent_manager.token_reviews import ReviewedTokens

from tests.manager.stage import Clock

NOON = 1_800_000_000.0


def token(name: str, expires_in: float = 3600) -> bytes:
    """Give what looks like a ServiceAccount token."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": NOON + expires_in}).encode()).rstrip(b"=")
    return b"e30." + claims + b"." + name.encode()


class Office:
    """Reviewed tokens, whose cluster answers as the test says."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pods: dict[str, str | None] = {}
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.agents = {"uid-1": "planner"}
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        began = self.clock()
        self.tokens = ReviewedTokens(
            self, self._agent_of_pod, clock=self.clock, wall=lambda: NOON + self.clock() - began
        )

    def _agent_of_pod(self, uid: str) -> str | None:
        return self.agents.get(uid)

    async def pod_of(self, token: str) -> str | None:
        """Answer as the cluster would."""
        self.asked.append(token)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return self.pods.get(token)

    async def agent_of(self, given: bytes) -> str | None:
        """Give what is known after asking where that is needed."""
        asking = self.tokens.to_ask(given)
        if asking is not None:
            await asking
        return self.tokens.agent_of(given)


@pytest.fixture
def office() -> Office:
    """Give an office that knows the token of one pod."""
    made = Office()
    made.pods[token("good").decode()] = "uid-1"
    return made


async def test_a_good_token_speaks_for_its_pod_s_agent_and_is_asked_for_once_a_minute(office: Office) -> None:
    """A revoked one opens nothing after that."""
    given = token("good")
    assert [await office.agent_of(given) for _ in range(3)] == ["planner"] * 3
    assert len(office.asked) == 1
    office.pods.clear()
    office.clock.now += 60
    assert await office.agent_of(given) is None
    assert len(office.asked) == 2


async def test_a_bad_token_is_asked_for_each_ten_seconds(office: Office) -> None:
    """However often it comes."""
    given = token("bad")
    assert [await office.agent_of(given) for _ in range(3)] == [None] * 3
    office.clock.now += 10
    assert await office.agent_of(given) is None
    assert len(office.asked) == 2


async def test_a_pod_that_is_seen_later_needs_no_second_question(office: Office) -> None:
    """A process may be quicker than the watch; and a pod that is gone speaks for nobody."""
    given, office.agents = token("good"), {}
    assert await office.agent_of(given) is None
    office.agents = {"uid-1": "planner"}
    assert await office.agent_of(given) == "planner"
    office.agents = {}
    assert await office.agent_of(given) is None
    assert len(office.asked) == 1


@pytest.mark.parametrize("given", [b"shared-secret", b"a.b", b"a.b.c.d", b"a.b." + b"c" * 8192, b"\xff.b.c"])
def test_what_is_no_jwt_is_never_asked_for(office: Office, given: bytes) -> None:
    """It goes to no other service."""
    assert office.tokens.to_ask(given) is None
    assert office.tokens.agent_of(given) is None


@pytest.mark.parametrize("failure", [ApiUnreachable("away"), ApiFailed(429, "TooManyRequests", "later")])
async def test_while_nobody_can_be_asked_a_good_token_stays_good_until_it_is_over(
    office: Office, failure: Exception
) -> None:
    """An API server that is away for minutes stops no beat; one that was never good is told to come again."""
    given = token("good", expires_in=200)
    office.pods[given.decode()] = "uid-1"
    assert await office.agent_of(given) == "planner"
    office.failure = failure
    office.clock.now += 100
    assert await office.agent_of(given) == "planner"
    with pytest.raises(Problem) as caught:
        await office.agent_of(token("new"))
    assert (caught.value.status, caught.value.code) == (503, "unavailable")
    office.clock.now += 100
    with pytest.raises(Problem):
        await office.agent_of(given)
    assert office.tokens.agent_of(given) is None


async def test_those_who_say_the_same_token_at_once_ask_once(office: Office) -> None:
    """Also when the first of them leaves."""
    office.may_answer.clear()
    given = token("good")
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(office.agent_of(given)) for _ in range(2))
        await office.was_asked.wait()
        first.cancel()
        office.may_answer.set()
    assert second.result() == "planner"
    assert len(office.asked) == 1


async def test_a_flood_of_made_up_tokens_is_bounded(office: Office) -> None:
    """Eight are asked for at once, a thousand wait, the rest is told to come again."""
    office.may_answer.clear()
    results = [asyncio.ensure_future(office.agent_of(token(f"made-up-{number}"))) for number in range(1100)]
    await asyncio.wait(results, return_when=asyncio.FIRST_COMPLETED)
    await office.was_asked.wait()
    assert len(office.asked) == 8
    office.may_answer.set()
    said = await asyncio.gather(*results, return_exceptions=True)
    assert sum(isinstance(one, Problem) for one in said) == 100


class Api:
    """An API that gives one answer."""

    def __init__(self, status: dict[str, Any] | None) -> None:
        self._answer = b"no json" if status is None else json.dumps({"kind": "TokenReview", "status": status}).encode()

    async def request(self, *_: str, **__: Any) -> bytes:
        """Give it."""
        return self._answer


POD = {"extra": {"authentication.kubernetes.io/pod-uid": ["uid-1"]}}


@pytest.mark.parametrize(
    ("status", "uid"),
    [
        ({"authenticated": True, "audiences": ["agent-manager"], "user": POD}, "uid-1"),
        ({"authenticated": True, "audiences": ["https://kubernetes.default.svc"], "user": POD}, None),
        ({"authenticated": True, "user": POD}, None),
        ({"authenticated": True, "audiences": ["agent-manager"], "user": {"username": "ada"}}, None),
        ({"authenticated": False, "error": "expired"}, None),
        ({}, None),
    ],
)
async def test_a_review_counts_for_our_audience_and_for_a_pod_alone(status: dict[str, Any], uid: str | None) -> None:
    """An API server that knows no audiences leaves them out: then nothing says that the token was meant for us."""
    assert await TokenReviews(Api(status), "agent-manager").pod_of("t") == uid


async def test_an_answer_that_is_none_is_no_verdict() -> None:
    """A proxy's page, say."""
    with pytest.raises(ApiUnreachable):
        await TokenReviews(Api(None), "agent-manager").pod_of("t")
