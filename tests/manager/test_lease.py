"""Which manager acts: at most one, and soon another when it is gone."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_manager.agent_client import Origin
from agent_manager.cluster.api import ClusterApi

from tests.manager.elections import LEASES, Election
from tests.manager.fake_api_server import FakeApiServer, Reply, Request, Silence, failure


@pytest.fixture
def election(api_server: FakeApiServer, tmp_path: Path) -> Election:
    """Give a lease that nobody has."""
    return Election(api_server, tmp_path)


async def test_the_first_takes_the_lease_and_says_where_it_is(election: Election) -> None:
    """The Lease is made with its holder, what it promises, and its address."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        spec, metadata = election.lease["spec"], election.lease["metadata"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("one", 15, 0)
        assert spec["acquireTime"] == "2026-01-01T00:16:40.000000Z"
        assert spec["renewTime"] == "2026-01-01T00:16:40.000000Z"
        assert metadata["annotations"] == {"agent-orchestration.dev/address": "http://10.0.0.1:8080"}
        assert one.elector.trouble is None


async def test_the_next_waits_and_knows_who_acts(election: Election) -> None:
    """However long the first one renews, the second does not act, though its clock on the wall is an hour ahead."""
    async with election.candidate("one") as one, election.candidate("two") as two:
        two.wall_offset = timedelta(hours=1)
        await election.server.until(lambda: one.leads != two.leads)
        first, second = (one, two) if one.leads else (two, one)
        for _ in range(10):
            election.pass_time(4)
            await election.looks()
            assert (first.leads, second.leads) == (True, False)
        holder = second.elector.holder
        assert holder is not None
        assert holder.identity == first.elector.identity
        assert holder.origin == Origin("10.0.0.1" if first is one else "10.0.0.2", 8080)
        assert first.losses == second.losses == 0


@pytest.mark.parametrize("how", ["leave", "cancel"])
async def test_one_that_leaves_gives_it_back(election: Election, how: str) -> None:
    """The next one takes it when it looks, not when it would have run out; the change of hands is counted."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        async with election.candidate("two") as two:
            await election.looks()
            await getattr(one, how)()
            assert not one.leads
            assert (one.losses, one.elector.holder) == (1, None)
            await election.server.until(lambda: two.leads)
            assert election.lease["spec"]["leaseTransitions"] == 1
            assert election.lease["metadata"]["annotations"] == {
                "agent-orchestration.dev/address": "http://10.0.0.2:8080"
            }


async def test_one_that_exits_while_it_gives_it_back_finishes_that(
    election: Election, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle manager exits the moment that it leaves: before the request is on its way."""
    send = ClusterApi._send

    async def send_slowly(*arguments: Any) -> Any:
        await asyncio.sleep(0.02)
        return await send(*arguments)

    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        monkeypatch.setattr(ClusterApi, "_send", send_slowly)
        one.leaving.set()
        await one.gives_back.wait()
        await one.cancel()
        assert election.lease["spec"]["holderIdentity"] == ""


async def test_one_that_dies_is_followed_once_its_lease_stood_still(election: Election) -> None:
    """Fifteen seconds of the next one's own time: what the lease says of times is compared with no clock."""
    async with election.candidate("one", begin=False) as dead:
        election.server.store.put(
            LEASES,
            {
                "metadata": {"name": "agent-manager"},
                "spec": {
                    "holderIdentity": dead.elector.identity,
                    "leaseDurationSeconds": 15,
                    "leaseTransitions": 6,
                    "renewTime": "2031-01-01T00:00:00.000000Z",
                },
            },
        )
        async with election.candidate("two") as two:
            await election.looks()
            election.pass_time(14.9)
            await election.looks()
            assert not two.leads
            assert two.elector.holder is not None
            election.pass_time(0.2)
            await election.server.until(lambda: two.leads)
            assert election.lease["spec"]["leaseTransitions"] == 7


@pytest.mark.parametrize("fault", [Silence(), failure(500, "InternalError"), failure(429, "TooManyRequests")])
async def test_one_that_cannot_renew_stops_before_the_next_begins(election: Election, fault: Silence | Reply) -> None:
    """It acts for ten seconds more by its own clock, whatever the API server does; the others wait fifteen."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        election.server.answer = lambda _: fault
        await election.looks()
        election.pass_time(9)
        await election.looks()
        assert one.leads
        election.pass_time(1.5)
        assert not one.leads
        await election.looks()
        assert one.losses == 1
        assert one.elector.holder is None
        assert one.elector.trouble is not None


async def test_an_outage_that_is_short_changes_nothing(election: Election) -> None:
    """Its holder is the same, and nobody was told of a loss."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        election.server.answer = lambda _: failure(503, "ServiceUnavailable")
        election.pass_time(8)
        await election.looks()
        election.server.answer = lambda _: None
        await election.looks()
        election.pass_time(8)
        await election.looks()
        assert (one.leads, one.losses, one.elector.trouble) == (True, 0, None)
        assert election.lease["spec"]["leaseTransitions"] == 0


async def test_one_that_was_suspended_does_not_act_when_it_wakes(election: Election) -> None:
    """Its timers had no turn yet, and it knows already: what it was about to do is not done."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        one.clock.now += 60
        assert not one.leads
        await election.server.until(lambda: one.leads)
        assert one.losses == 1


async def test_a_lease_that_another_took_is_lost_at_once(election: Election) -> None:
    """By hand, or by a manager whose clock ran faster: the next renewal shows it."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        lease = election.lease
        lease["spec"] |= {"holderIdentity": "thief", "renewTime": "2026-01-01T00:00:01.000000Z"}
        election.server.store.put(LEASES, lease)
        await election.server.until(lambda: not one.leads)
        await election.looks()
        assert one.losses == 1
        assert one.elector.holder is not None
        assert one.elector.holder.identity == "thief"


async def test_somebody_else_may_write_to_it(election: Election) -> None:
    """An annotation of a person is kept, and costs the holder one renewal."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        election.server.store.patch(LEASES, "agent-manager", {"metadata": {"annotations": {"note": "mine"}}})
        await election.looks()
        election.pass_time(8)
        await election.looks()
        assert (one.leads, one.losses) == (True, 0)
        assert election.lease["metadata"]["annotations"]["note"] == "mine"


async def test_a_lease_that_was_deleted_is_made_again(election: Election) -> None:
    """A tidy person costs nothing but a renewal."""
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.leads)
        election.server.store.delete(LEASES, "agent-manager")
        await election.server.until(lambda: bool(election.server.store.list(LEASES)))
        await election.server.until(lambda: one.leads)


async def test_two_that_take_it_at_once_are_told_apart_by_the_api_server(election: Election) -> None:
    """Each read the same free lease; the second write is of an older version, and refused."""
    waiting: list[Request] = []

    def hold_claims(request: Request) -> Reply | None:
        if request.verb == "patch":
            waiting.append(request)
            return failure(500, "InternalError") if len(waiting) < 3 else None
        return None

    election.server.store.put(LEASES, {"metadata": {"name": "agent-manager"}, "spec": {}})
    election.server.answer = hold_claims
    async with election.candidate("one") as one, election.candidate("two") as two:
        await election.server.until(lambda: one.leads or two.leads)
        await election.looks()
        assert one.leads != two.leads


async def test_what_keeps_it_from_the_lease_is_said(election: Election) -> None:
    """Whoever gets a 503 no-leader reads why."""
    election.server.answer = lambda _: failure(403, "Forbidden", 'User "x" cannot get resource "leases"')
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.elector.trouble is not None)
        assert 'cannot get resource "leases"' in str(one.elector.trouble)
        election.server.answer = lambda _: None
        await election.server.until(lambda: one.leads)
        await election.server.until(lambda: one.elector.trouble is None)


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254:80",
        "http://metadata.google.internal:80",
        "http://2130706433:8080",
        "http://10.0.0.1:8080/x",
        "http://user@10.0.0.1:8080",
        "ftp://10.0.0.1:21",
        "10.0.0.1:8080",
        "",
    ],
)
async def test_an_address_that_is_none_is_not_gone_to(election: Election, address: str) -> None:
    """Clients' credentials would go there: the holder is known, and asked nothing."""
    election.server.store.put(
        LEASES,
        {
            "metadata": {"name": "agent-manager", "annotations": {"agent-orchestration.dev/address": address}},
            "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15},
        },
    )
    async with election.candidate("one") as one:
        await election.server.until(lambda: one.elector.holder is not None)
        assert one.elector.holder is not None
        assert one.elector.holder.origin is None
