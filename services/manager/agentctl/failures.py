"""How a command ends: the exit codes, and the errors that carry one.

CommandFailed      something went wrong and was said in one line
  ManagerAway      the manager could not be reached, or went in the middle: worth another try
"""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says to a script."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


class CommandFailed(Exception):  # noqa: N818  # the sentence that a reader expects: the command failed
    """A command that ends with a line on standard error and an exit code.

    `code`, `started` (whether work began) and `outcome` (what became of it) are the problem's, if one came.
    """

    def __init__(
        self,
        message: str,
        exit_code: Exit = Exit.FAILED,
        *,
        code: str | None = None,
        started: bool | None = None,
        outcome: str | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.code = code
        self.started = started
        self.outcome = outcome


class ManagerAway(CommandFailed):
    """The manager cannot be reached, or its connection ended before the answer did.

    `asked` tells whether the request may have arrived there: then nobody knows what came of it.
    """

    def __init__(self, message: str, *, asked: bool) -> None:
        super().__init__(message, Exit.UNREACHABLE)
        self.asked = asked
