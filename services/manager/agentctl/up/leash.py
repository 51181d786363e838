"""Run as a script: starts a program that is told to leave (SIGTERM, so that it drains) when `agentctl up` dies.

`python -I -S leash.py PARENT kernel|poll PROGRAM ARG...` becomes the program by exec, with the same process id.

kernel (Linux): the parent-death signal is asked for here, in the new process, after fork and exec. Asking for it in a
`preexec_fn` would run Python between fork and exec, which can deadlock where the parent has threads. The kernel keeps
the setting over an exec (prctl(2)), so also over an agent's `restart`, and sends the signal when the parent's thread
that forked ends: that is its main thread, which lives as long as the process.

poll (elsewhere): a second process looks twice a second whether the parent is still there. It is a child of the program,
so that it sees the program's end by its own parent's id, and it holds none of the program's files open.
"""

import ctypes
import os
import signal
import sys
import time

_SET_PARENT_DEATH_SIGNAL = 1
_POLL_SECONDS = 0.5


def main(parent: int, way: str, command: list[str]) -> None:
    """Become the command; it is not started where the parent has gone already."""
    if way == "kernel":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot set the parent-death signal")
    elif os.fork() == 0:
        _watch(parent, os.getppid())
    if os.getppid() == parent:  # it may have died before the signal was asked for
        os.execv(command[0], command)  # noqa: S606  # no shell: the command is a list


def _watch(parent: int, program: int) -> None:
    os.setsid()
    os.closerange(0, 1024)
    while os.getppid() == program:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os.kill(program, signal.SIGTERM)
            break
        time.sleep(_POLL_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
