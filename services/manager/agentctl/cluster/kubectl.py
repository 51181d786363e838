"""The user's kubectl: it has their credentials, plugins and proxies, so it is what asks the cluster."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Final, cast

import msgspec

from agentctl.failures import CommandFailed, Exit, ManagerAway
from agentctl.terminal import note, one_line

_ANSWER_SECONDS: Final = 60.0
"""An API server answers within a second or two; a person may have to log in before that."""
_REQUEST_SECONDS: Final = 10
"""What one request may take, so that an API server that is away is told of within this time."""
_QUIET_SECONDS: Final = 2.0
"""What kubectl says before this is shown only when it fails; later somebody may have to do something about it."""
_LAST_WORDS_SECONDS: Final = 1.0
"""For what an ended kubectl wrote: only a helper of its own can hold the pipe open longer."""
_KEPT_LINES: Final = 20
_KLOG: Final = re.compile(r"[EWIF]\d{4} \d\d:")
_PREFIX: Final = re.compile(r"^(?i:error)(?: from server \(\w+\))?(?: in configuration)?: ")
_REFUSED: Final = ("orbidden", "nauthorized", "must be logged in")
_UNKNOWN: Final = ("context was not found", "does not exist", "no such file")


class _Context(msgspec.Struct, frozen=True):
    namespace: str = "default"


class _NamedContext(msgspec.Struct, frozen=True):
    context: _Context = _Context()


class _View(msgspec.Struct, frozen=True, rename="kebab"):
    """What `kubectl config view --minify` tells, of it what messages need."""

    current_context: str = ""
    contexts: list[_NamedContext] = []


class Kubectl:
    """Runs kubectl for one namespace; what is None is as the user's current context has it.

    Raises:
        CommandFailed: there is no kubectl.

    """

    def __init__(self, *, namespace: str | None, context: str | None, kubeconfig: str | None) -> None:
        program = shutil.which("kubectl")
        if program is None:
            advice = "install it, or say --manager URL"
            raise CommandFailed(f"cannot look into a cluster: there is no kubectl in PATH: {advice}", Exit.UNREACHABLE)
        self._program = program
        self._asked = _flags(kubeconfig=kubeconfig, context=context, namespace=namespace)
        view = self._view(_flags(kubeconfig=kubeconfig, context=context))
        context = context or view.current_context or None
        namespace = namespace or next((each.context.namespace for each in view.contexts), None)
        self._pinned = _flags(kubeconfig=kubeconfig, context=context, namespace=namespace)
        """What is followed for hours stays where it began, also when the user's current context changes."""
        known = {"namespace": namespace, "context": context}
        parts = [f"{kind} {name}" for kind, name in known.items() if name is not None]
        self.place = one_line(" of ".join(parts) or "the current context")
        """Where it looks, for messages: `namespace agents of context prod`."""

    def command(self, *arguments: str) -> list[str]:
        """Give the command line that does something in the namespace."""
        return [self._program, *self._pinned, *arguments]

    def typed(self, *arguments: str) -> str:
        """Give a command line for the user to type."""
        return shlex.join(["kubectl", *self._asked, *arguments])

    def get(self, *arguments: str) -> bytes:
        """Give the JSON that `kubectl get` prints; raises CommandFailed, ManagerAway where the cluster is away."""
        command = self.command("get", *arguments, "-o", "json", f"--request-timeout={_REQUEST_SECONDS}s")
        return _run(command, f"cannot look into {self.place}")

    def _view(self, flags: list[str]) -> _View:
        """Give what the context says; nothing where it does not exist, or there is none as in a pod."""
        try:
            said = _run([self._program, *flags, "config", "view", "--minify", "-o", "json"], "cannot read it")
            return msgspec.json.decode(said, type=_View)
        except (CommandFailed, msgspec.MsgspecError):
            return _View()


class Errors:
    """What a kubectl writes on standard error, read as it comes and kept for the day that it fails."""

    def __init__(self, source: IO[bytes]) -> None:
        self._lines: list[str] = []
        self._shown = False
        self.reader = reading(source, self._take)

    def show(self) -> None:
        """Show what came and what comes from now on: somebody waits and may have to log in."""
        self._shown = True
        for line in self._lines:
            note(f"kubectl: {line}")

    def last(self) -> str:
        """Give the last thing that it said about its failure, without its own prefix."""
        said = [line for line in self._lines if line and not _KLOG.match(line)] or self._lines
        return one_line(_PREFIX.sub("", said[-1])) if said else "it said nothing"

    def _take(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip()
        del self._lines[:-_KEPT_LINES]
        self._lines.append(line)
        if self._shown:
            note(f"kubectl: {line}")


def reading(source: IO[bytes], on_line: Callable[[bytes], None]) -> threading.Thread:
    """Give the thread that reads a pipe to its end: a full one would hold kubectl up."""

    def read() -> None:
        with source:
            for line in source:
                on_line(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _flags(**given: str | None) -> list[str]:
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def failure(what: str, said: str) -> CommandFailed:
    """Give the failure that kubectl's last words mean: not allowed, no such thing, or a cluster that is away."""
    if any(word in said for word in _REFUSED):
        return CommandFailed(f"{what}: {said}")
    if any(word in said for word in _UNKNOWN):
        return CommandFailed(f"{what}: {said}", Exit.NOT_FOUND)
    return ManagerAway(f"{what}: {said}", asked=False)


def _run(command: list[str], what: str) -> bytes:
    """Give what a kubectl prints that ends by itself. It keeps the terminal, for a login that asks for something."""
    stdin = None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=stdin, stdout=output, stderr=subprocess.PIPE) as process,  # noqa: S603  # a list
    ):
        errors = Errors(cast("IO[bytes]", process.stderr))
        try:
            _wait(process, errors)
        except subprocess.TimeoutExpired:
            raise ManagerAway(f"{what}: no answer from kubectl within {_ANSWER_SECONDS:g} s", asked=False) from None
        finally:
            process.kill()
            errors.reader.join(_LAST_WORDS_SECONDS)
        if process.returncode != 0:
            raise failure(what, errors.last())
        output.seek(0)
        return output.read()


def _wait(process: "subprocess.Popen[bytes]", errors: Errors) -> None:
    try:
        process.wait(_QUIET_SECONDS)
    except subprocess.TimeoutExpired:
        errors.show()
        process.wait(_ANSWER_SECONDS - _QUIET_SECONDS)
