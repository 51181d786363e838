"""One restart under load, and what came of it."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from agent_contract.counting import counted

from agentctl.act import Order, give
from agentctl.client import Manager
from agentctl.failures import CommandFailed
from agentctl.prove.counted import Counts, read_counts
from agentctl.prove.ledger import Ledger
from agentctl.prove.load import Load
from agentctl.terminal import note


class Proof(msgspec.Struct, kw_only=True):
    """What the callers were told, and what the manager counted meanwhile."""

    agent: str
    verb: str | None
    """`restart` or `rollout`; None where only calls were made."""
    seconds: float
    ledger: Ledger
    drains: Counts
    failure: str | None = None
    """Why the restart failed."""

    def title(self) -> str:
        """Say what was done."""
        what = "calls alone" if self.verb is None else f"{self.verb} under load"
        return f"{self.agent}: {what}, {counted(self.ledger.numbers()['calls'], 'call')} in {self.seconds:.1f} s"

    def doubts(self) -> list[str]:
        """Give what speaks against it that nothing was lost."""
        numbers, doubts = self.ledger.numbers(), []
        if self.failure is not None:
            doubts.append(self.failure)
        if self.ledger.lost:
            doubts.append(f"{_were(numbers['interrupted'], 'call')} interrupted, of {numbers['unknown']} nobody knows")
        if numbers["calls"] != numbers["refused"] + numbers["accepted"]:
            doubts.append("the ledger does not add up: a call has no outcome")
        if self.drains.cut or self.drains.lost or self.drains.tasks_cut:
            doubts.append(
                f"{_were(self.drains.tasks_cut, 'task')} cut, {counted(self.drains.lost, 'drain')} had no last word"
            )
        if self.verb is not None and self.failure is None and not self.drains.drains:
            doubts.append("the manager counted no drain meanwhile")
        return doubts

    def conclusion(self) -> str:
        """Say it in one line."""
        numbers = self.ledger.numbers()
        refused = f", {_were(numbers['refused'], 'call')} refused with no work begun" if numbers["refused"] else ""
        drains = f"; {_were(self.drains.drains, 'drain')} clean" if self.verb is not None else ""
        accepted = f"{_were(numbers['accepted'], 'call')} accepted and each has its outcome"
        return f"nothing was lost: {accepted}{refused}{drains}"

    def members(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "agent": self.agent,
            "action": self.verb,
            "seconds": round(self.seconds, 3),
            "calls": self.ledger.numbers(),
            "problems": self.ledger.codes(),
            "drains": msgspec.to_builtins(self.drains),
            "doubts": self.doubts(),
        }


def prove_restart(manager: Manager, agent_id: str, load: Load, calls: int, restart: Order | None) -> Proof:
    """Call the agent on and on, restart it meanwhile, and give what came of both.

    Raises:
        CommandFailed: the first call failed already, so that nothing was restarted.

    """
    try:
        load.first()
    except CommandFailed as failure:
        message = f"nothing was proved, for the first call failed: {failure}"
        raise CommandFailed(message, failure.exit_code, code=failure.code) from failure
    before, began = read_counts(manager), time.monotonic()
    failures: list[str] = []
    with load.going(calls):
        if restart is not None:
            failures = _failures(lambda: give(manager, agent_id, restart, wait=True, tell=note))
    return Proof(
        agent=agent_id,
        verb=None if restart is None else restart.called,
        seconds=time.monotonic() - began,
        ledger=load.ledger,
        drains=read_counts(manager).since(before).of(agent_id),
        failure=next(iter(failures), None),
    )


def _were(number: int, thing: str) -> str:
    return f"{counted(number, thing)} {'was' if number == 1 else 'were'}"


def _failures(do: Callable[[], None]) -> list[str]:
    """Keep the failure of a restart for the ledger, which is wanted all the more then."""
    try:
        do()
    except CommandFailed as failure:
        note(f"error: {failure}")
        return [str(failure)]
    return []
