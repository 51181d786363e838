"""`agentctl prove`: a report of what was lost, or a restart under load that ends in a ledger.

Without an agent it only reads: what one manager counted since it started, or since an earlier report. With one it makes
the proof: calls on and on through the manager, restarts the agent meanwhile, and adds up what the callers were told.
"""

from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec
from agent_contract.counting import counted
from click.core import ParameterSource

from agentctl.act import Order
from agentctl.arguments import AGENT_ID, DURATION
from agentctl.client import Manager
from agentctl.connection import talks_to_manager
from agentctl.failures import CommandFailed, Exit
from agentctl.output import print_value
from agentctl.parameters import read_parameters
from agentctl.prove.counted import Counts, Record, read_counts
from agentctl.prove.load import Load
from agentctl.prove.restart import Proof, prove_restart
from agentctl.tables import print_table
from agentctl.terminal import note, one_line, say

Format = Literal["table", "json", "yaml"]
_COUNTED: Final = ("AGENT", "DRAINS", "CLEAN", "CUT", "LOST", "TASKS-CUT", "CALLS", "SUCCEEDED", "FAILED", "502/504")
_OF_RESTART: Final = ("file", "pairs", "calls", "per_second", "strategy", "restart", "timeout")


@click.command()
@click.argument("agent_id", metavar="[ID]", required=False, type=AGENT_ID)
@click.option("-p", "pairs", multiple=True, metavar="NAME=TEXT|NAME:=JSON", help="A parameter of each call.")
@click.option("-f", "file", type=click.Path(allow_dash=True), metavar="FILE|-", help="Parameters as a JSON object.")
@click.option(
    "--calls", type=click.IntRange(1, 1_000_000), default=200, metavar="N", help="At least so many calls [200]."
)
@click.option("--per-second", type=click.FloatRange(0.1, 1000), default=20.0, metavar="R", help="Calls a second [20].")
@click.option("--strategy", type=click.Choice(["rollout"]), help="Replace the pods by the platform's own rollout.")
@click.option(
    "--restart/--no-restart", default=True, help="Restart it, or only call while you do something [--restart]."
)
@click.option("--timeout", type=DURATION, metavar="D", help="How long work in hand may take to finish, per instance.")
@click.option(
    "--since", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Only what came since FILE."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
@talks_to_manager
def prove(
    manager: Manager,
    /,
    agent_id: str | None,
    output: Format,
    since: str | None,
    **load: Any,  # noqa: ANN401  # click's
) -> None:
    """Tell whether work was lost: exit code 0 says that none was.

    Without ID: what this manager counted since it started; --since FILE, which -o json wrote before, takes that off.
    With ID: restart it under a load of calls with these parameters, and give the ledger.
    """
    if agent_id is None:
        _refuse_load_options()
        _report(manager, output, since)
        return
    if since is not None:
        raise click.UsageError("--since is for the report without ID")
    calling = Load(manager, agent_id, read_parameters(load["pairs"], load["file"]), load["per_second"])
    restart = Order(action="restart", timeout=load["timeout"], strategy=load["strategy"]) if load["restart"] else None
    _show_proof(prove_restart(manager, agent_id, calling, load["calls"], restart), output)


def _refuse_load_options() -> None:
    context = click.get_current_context()
    said = [name for name in _OF_RESTART if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if said:
        raise click.UsageError("say which agent: parameters and calls are for a restart under load")


def _report(manager: Manager, output: Format, since: str | None) -> None:
    record = read_counts(manager)
    if since is not None:
        record = record.since(_read_record(Path(since)))
    if output != "table":
        print_value(msgspec.to_builtins(record), output)
    else:
        happened = [one for one in record.agents if one.drains or one.calls]
        print_table(_COUNTED, [_row(one) for one in happened], nothing="nothing was drained or called")
    lost = [one for one in record.agents if one.something_lost]
    span = f"since {since} was written" if since else f"since the manager started at {record.started_at}"
    if lost:
        raise CommandFailed(one_line(f"{span}: {'; '.join(_loss(one) for one in lost)}"))
    note(f"nothing was lost {span}")


def _read_record(path: Path) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"cannot read --since {str(path)!r}: {error}: agentctl prove -o json writes one"
        raise CommandFailed(message, Exit.USAGE) from error


def _row(one: Counts) -> tuple[str, ...]:
    numbers = (one.drains, one.clean, one.cut, one.lost, one.tasks_cut)
    calls = (one.calls, one.succeeded, one.failed, one.unclear)
    return (one_line(one.agent), *map(str, numbers), *map(str, calls))


def _loss(one: Counts) -> str:
    parts = [
        (one.tasks_cut, "task", "cut by a drain's deadline"),
        (one.lost, "drain", "without a last word"),
        (one.unclear, "call", "answered 502 or 504, whose outcome may be unknown"),
    ]
    return f"{one.agent}: {', '.join(f'{counted(number, what)} {how}' for number, what, how in parts if number)}"


def _show_proof(proof: Proof, output: Format) -> None:
    if output != "table":
        print_value(proof.members(), output)
    else:
        say(proof.title())
        numbers = proof.ledger.numbers()
        print_table([name.upper() for name in numbers], [[str(number) for number in numbers.values()]], nothing="")
        say("")
        drains = proof.drains
        cells = (drains.drains, drains.clean, drains.cut, drains.lost, drains.tasks_cut)
        print_table(("DRAINS", "CLEAN", "CUT", "LOST", "TASKS-CUT"), [[str(number) for number in cells]], nothing="")
    if codes := proof.ledger.codes():
        note("problems: " + ", ".join(f"{code} {number}" for code, number in codes.items()))
    if proof.doubts():
        raise CommandFailed(one_line(f"not proved: {'; '.join(proof.doubts())}"))
    note(proof.conclusion())
