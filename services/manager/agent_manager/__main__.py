"""The command `agent-manager`: the control plane of the agents."""

import os
from typing import Any, Final, NoReturn

from agent_manager.signals import Signals

_HIGHEST_PORT: Final = 65535


def main() -> NoReturn:
    """Run the manager; ends with exit code 0, 1, 2 or 130."""
    signals = Signals()
    import click  # noqa: PLC0415  # after the signals are taken

    @click.command(name="agent-manager", context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--config", metavar="PATH", help="The configuration file (or AGENTS_CONFIG).")
    @click.option("--host", metavar="HOST", help="Where to listen; 127.0.0.1 if not said.")
    @click.option(
        "--port", type=click.IntRange(0, _HIGHEST_PORT), metavar="N", help="That of runtime.managerUrl, else 8080."
    )
    @click.option("--insecure", is_flag=True, help="Listen beyond this machine without asking who calls.")
    def command(**line: Any) -> None:  # noqa: ANN401  # as click gives them
        """Know which agents are there, pass calls on to them, and give them orders."""
        from agent_manager.config import CommandLine  # noqa: PLC0415  # heavy: after the signals are taken
        from agent_manager.process import run  # noqa: PLC0415  # heavy too

        run(CommandLine(**line), dict(os.environ), signals)

    command.main(prog_name="agent-manager")
    raise SystemExit(0)


if __name__ == "__main__":
    main()
