"""The entry of `agentctl`, `python -m agentctl` and `kubectl agents`: runs a command, makes its end an exit code."""

import errno
import io
import os
import sys

import click
from agent_contract.readable import harmless

from agentctl import program
from agentctl.cli import cli
from agentctl.failures import CommandFailed, Exit
from agentctl.terminal import note


def main() -> int:
    """Run the command line of this process and give its exit code."""
    return _run(program.AGENTCTL)


def main_of_plugin() -> int:
    """Do the same as `kubectl agents`: kubectl finds `kubectl-agents` in PATH and gives it what stands behind."""
    return _run(program.PLUGIN)


def _run(name: str) -> int:
    program.call_it(name)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name in another alphabet is no crash
    try:
        code = cli.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        sys.stderr.write(harmless(told.getvalue()))  # it may quote an argument that a script took from elsewhere
        return error.exit_code
    except click.Abort:
        return Exit.INTERRUPTED
    except CommandFailed as failure:
        note(f"error: {failure}")
        return failure.exit_code
    except OSError as error:
        return _unwritable(error)
    return code if isinstance(code, int) else Exit.OK  # an int is what a command gave to `Context.exit`


def _unwritable(error: OSError) -> int:
    """Give the exit code of a command whose reader went away (`| head -1`); nothing more is written."""
    if error.errno != errno.EPIPE:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.FAILED


if __name__ == "__main__":
    sys.exit(main())
