"""The command `agent-adapter`: one agent, one process, one life.

Signals are taken before anything heavy is imported: as PID 1 a SIGTERM without a handler is dropped by the kernel, and
one that comes while Python imports would end the process with the wrong exit code.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final, NoReturn

SOCKET_VARIABLE: Final = "_AGENT_ADAPTER_SOCKET"
"""Carries the listening socket over a restart's exec, so that callers wait in its backlog instead of being refused."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_INTERRUPTED: Final = 130


class Signals:
    """The signals that came: kept until the process can obey, then told to `on_signal`."""

    def __init__(self) -> None:
        self.on_signal: Callable[[int], None] | None = None
        self._early: list[int] = []
        self._interrupts = 0
        for number in _SIGNALS:
            signal.signal(number, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def obey(self, on_signal: Callable[[int], None]) -> None:
        """From now on tell `on_signal`, of the early ones too."""
        self.on_signal = on_signal
        for number in self._early:
            on_signal(number)

    def _take(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(_INTERRUPTED)
        if self.on_signal is None:
            self._early.append(number)
        else:
            self.on_signal(number)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the adapter; ends with exit code 0, 1, 2 or 130."""
    signals = Signals()
    original = dict(os.environ)
    line = _parse(sys.argv[1:] if arguments is None else arguments)
    from agent_adapter.process import run  # noqa: PLC0415  # after the handlers are set

    run(line, original, signals)


def _parse(arguments: list[str]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(
        prog="agent-adapter",
        description="Serve one agent over HTTP, know every task in hand, and drain when told to leave.",
        epilog="Without --config, config/agents.config.json is read, unless --entry-point, --upstream or PROG is said.",
    )
    parser.add_argument("--agent", metavar="ID", help="which agent (or AGENT_ID)")
    parser.add_argument("--config", metavar="PATH", help="the configuration file (or AGENTS_CONFIG)")
    parser.add_argument("--host", help="where to listen (default 0.0.0.0)")
    parser.add_argument("--port", type=_port, metavar="N", help="default: the agent's port, else 8100")
    parser.add_argument("--dummy", action="store_true", help="give the parameters back instead of running the agent")
    parser.add_argument("--entry-point", metavar="M:F", help="a Python callable, package.module:name")
    parser.add_argument("--upstream", metavar="URL", help="an HTTP service that answers POST /execute")
    parser.add_argument("command", nargs="*", metavar="-- PROG ARG", help="a program that reads and writes JSON lines")
    return vars(parser.parse_args(arguments))


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:  # noqa: PLR2004  # the highest port
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0..65535)")
    return int(text)


if __name__ == "__main__":
    main()
