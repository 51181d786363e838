"""A real process under steady load: told to leave, it loses nobody and is gone."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
SERVICE: Final = """
import asyncio, signal, sys
from agent_contract.serving import Server, listen, new_event_loop
from tests.contract.serving_app import Application

async def main():
    sockets = listen("127.0.0.1", 0)
    server = Server(Application(), sockets)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    await server.leave()

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
REQUEST: Final = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nok"
CALLERS: Final = 12


class Load:
    """Callers in threads, each calling again as soon as it was answered, until it is refused."""

    def __init__(self, port: int, *, keep_alive: bool) -> None:
        self.outcomes: Counter[str] = Counter()
        self._address, self._keep_alive = ("127.0.0.1", port), keep_alive
        self._threads = [threading.Thread(target=self._call_on) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the callers to end."""
        for thread in self._threads:
            thread.join()

    def _call_on(self) -> None:
        while True:
            try:
                connection = socket.create_connection(self._address, timeout=5)
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.outcomes[f"connecting: {error!r}"] += 1
                return
            with connection:
                while self._call(connection):
                    pass

    def _call(self, connection: socket.socket) -> bool:
        """Call once; gives whether the connection may be used again."""
        answer = b""
        with suppress(OSError):
            connection.sendall(REQUEST)
            while not answer.endswith(b"\r\n\r\nok") and (piece := connection.recv(4096)):
                answer += piece
        whole = answer.endswith(b"\r\n\r\nok")
        self.outcomes["answered" if whole else f"lost with {answer!r}"] += 1
        return whole and self._keep_alive and b"connection: close" not in answer


@pytest.mark.parametrize("keep_alive", [False, True], ids=["a connection a call", "kept connections"])
def test_nobody_is_lost_when_it_leaves(*, keep_alive: bool) -> None:
    """Every call is answered or its connection refused; the process exits 0, for uvicorn does not own the signals."""
    service = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert service.stdout is not None
    load = Load(int(service.stdout.readline()), keep_alive=keep_alive)
    while load.outcomes["answered"] < 1000:
        time.sleep(0.01)
    service.send_signal(signal.SIGTERM)
    assert service.wait(timeout=10) == 0
    service.stdout.close()
    load.join()
    assert set(load.outcomes) == {"answered"}
