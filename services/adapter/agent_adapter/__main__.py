"""The command `agent-adapter`: one agent, one process, one life."""

import os
import sys
from typing import Any, Final, NoReturn

from agent_adapter.signals import Signals

_HIGHEST_PORT: Final = 65535


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the adapter; ends with exit code 0, 1, 2 or 130."""
    signals = Signals()
    line = _parse(sys.argv[1:] if arguments is None else arguments)
    from agent_adapter.process import run  # noqa: PLC0415  # heavy: after the signals are taken

    run(line, dict(os.environ), signals)


def _parse(arguments: list[str]) -> dict[str, Any]:
    import argparse  # noqa: PLC0415  # after the signals are taken

    def port(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT):
            raise argparse.ArgumentTypeError(f"{text!r} is not a port (0..{_HIGHEST_PORT})")
        return int(text)

    parser = argparse.ArgumentParser(
        prog="agent-adapter",
        description="Serve one agent over HTTP, know every task in hand, and drain when told to leave.",
        epilog="Without --config, config/agents.config.json is read, unless --entry-point, --upstream or PROG is said.",
    )
    parser.add_argument("--agent", metavar="ID", help="which agent (or AGENT_ID)")
    parser.add_argument("--config", metavar="PATH", help="the configuration file (or AGENTS_CONFIG)")
    parser.add_argument("--host", help="where to listen (default 0.0.0.0)")
    parser.add_argument("--port", type=port, metavar="N", help="default: the agent's port, else 8100")
    parser.add_argument("--dummy", action="store_true", help="give the parameters back instead of running the agent")
    parser.add_argument("--entry-point", metavar="M:F", help="a Python callable, package.module:name")
    parser.add_argument("--upstream", metavar="URL", help="an HTTP service that answers POST /execute")
    parser.add_argument("command", nargs="*", metavar="-- PROG ARG", help="a program that reads and writes JSON lines")
    return vars(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
