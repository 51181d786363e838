"""What agent code and the adapter raise.

AgentError      a call to another agent that gave no result
Rejected        the parameters are the caller's mistake
StartFailed     the agent cannot be started
"""


class AgentError(Exception):
    """Another agent gave no result: what `context.call` raises.

    `code` is the problem's word, `status` the HTTP status (0: no answer), `started` whether work began (None: nobody
    knows), `outcome` what became of it (`cancelled`, `interrupted`, `unknown`) or None.
    """

    def __init__(
        self, code: str, detail: str, *, status: int = 0, started: bool | None = None, outcome: str | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.started = started
        self.outcome = outcome


class Rejected(Exception):  # noqa: N818  # what happened to the parameters, not a failure of the program
    """The caller's mistake: answered with 422 `bad-parameters`, not logged as an error."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class StartFailed(Exception):  # noqa: N818  # reads as the event that it is
    """The agent cannot be started: the process exits 1 and says why."""
