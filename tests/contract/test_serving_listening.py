"""Taking an address: on every family, once, and over an exec."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from agent_contract.listening import any_waiting, drop_newcomers
from agent_contract.serving import CannotListen, PortInUse, inherited, listen


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Give a listening socket of ours."""
    with ExitStack() as stack:
        yield next(stack.enter_context(each) for each in listen("127.0.0.1", 0))


def port_of(listening: socket.socket) -> int:
    """Give its port."""
    return int(listening.getsockname()[1])


def test_a_port_in_use_is_named(taken: socket.socket) -> None:
    """The message says host, port and why, for people; the type says it to programs."""
    port = port_of(taken)
    with pytest.raises(PortInUse, match=rf"cannot listen on 127\.0\.0\.1:{port}: another process listens there"):
        listen("127.0.0.1", port)
    assert issubclass(PortInUse, CannotListen)
    assert issubclass(CannotListen, OSError)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("203.0.113.7", r"cannot listen on 203\.0\.113\.7:\d+: cannot assign"),
        ("no.such.host.invalid", r"cannot listen on no\.such\.host\.invalid:\d+: "),
        ("2001:db8::1", r"cannot listen on \[2001:db8::1\]:\d+: "),
    ],
)
def test_an_address_that_cannot_be_had_is_named(host: str, said: str) -> None:
    """Not this machine's, or no address at all."""
    with pytest.raises(CannotListen, match=said):
        listen(host, 8100)


def test_a_name_with_two_addresses_gets_both_on_one_port() -> None:
    """`localhost` is reached by IPv4 and, where the machine has it, IPv6, on the same free port."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen("localhost", 0)]
        assert len({port_of(each) for each in sockets}) == 1
        assert sockets[0].family == socket.AF_INET


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_the_ipv6_wildcard_takes_ipv4_too() -> None:
    """`::` alone is the address of a dual-stack pod."""
    try:
        sockets = listen("::", 0)
    except CannotListen:
        pytest.skip("the machine has no IPv6")
    with sockets[0] as listening, socket.create_connection(("127.0.0.1", port_of(listening)), timeout=5):
        assert len(sockets) == 1


def test_an_inherited_socket_is_taken_if_it_has_the_address(taken: socket.socket) -> None:
    """The same host and port, or port 0 for whichever; it does not pass on to children."""
    for port in (port_of(taken), 0):
        kept = inherited(os.dup(taken.fileno()), "127.0.0.1", port)
        assert kept is not None
        assert (kept.getsockname(), kept.get_inheritable()) == (taken.getsockname(), False)
        kept.close()


def test_an_inherited_socket_with_another_address_is_closed(taken: socket.socket) -> None:
    """A changed configuration wins over what the process before had; the descriptor does not stay open."""
    for host, port in (("127.0.0.1", port_of(taken) + 1), ("0.0.0.0", port_of(taken)), ("no.such.host.invalid", 1)):
        descriptor = os.dup(taken.fileno())
        assert inherited(descriptor, host, port) is None
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_what_is_no_listening_socket_is_not_taken(tmp_path: os.PathLike[str]) -> None:
    """A number that means another file by now is left alone; a socket that does not listen is closed."""
    with open(os.path.join(tmp_path, "file"), "w") as file:  # noqa: PTH123, PTH118  # for its descriptor
        assert inherited(file.fileno(), "127.0.0.1", 0) is None
        os.fstat(file.fileno())
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert inherited(os.dup(bound.fileno()), "127.0.0.1", port_of(bound)) is None
    assert inherited(10_000, "127.0.0.1", 0) is None


def test_an_inherited_socket_survives_an_exec(taken: socket.socket) -> None:
    """A real process after a real exec accepts what connected meanwhile."""
    descriptor = os.dup(taken.fileno())
    os.set_inheritable(descriptor, True)
    port = port_of(taken)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as waiting:
        code = (
            "import os, sys\n"
            "again = [sys.executable, '-c', sys.argv[2], *sys.argv[1:], 'again']\n"
            "if len(sys.argv) < 4: os.execv(sys.executable, again)\n"
            "from agent_contract.serving import inherited\n"
            "listening = inherited(int(sys.argv[1]), '127.0.0.1', 0)\n"
            "listening.setblocking(True)\n"
            "listening.accept()[0].sendall(b'next life')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(descriptor), code], pass_fds=[descriptor], timeout=30, check=False
        )
        assert done.returncode == 0
        assert waiting.recv(100) == b"next life"
    os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filter is Linux's")
def test_newcomers_are_dropped_and_those_who_came_before_stay(taken: socket.socket) -> None:
    """After that the queue only empties; the next owner of the socket takes newcomers again."""
    address = taken.getsockname()
    with socket.create_connection(address, timeout=5):
        drop_newcomers(taken)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.2)
        assert any_waiting([taken])
        taken.accept()[0].close()
        assert not any_waiting([taken])
        kept = inherited(os.dup(taken.fileno()), *address)
        assert kept is not None
        with kept, socket.create_connection(address, timeout=5):
            assert any_waiting([kept])
