"""Lists whoever announced itself, and leaves on SIGTERM: what `agentctl up` needs of a manager."""

import argparse
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

AGENTS: dict[str, dict[str, Any]] = {}


class Handler(BaseHTTPRequestHandler):
    """Answers the listing; a PUT changes one agent of it."""

    def do_GET(self) -> None:
        """Answer what `agentctl up` asks."""
        answers: dict[str, Any] = {
            "/health": {"status": "ok"},
            "/api/version": {"version": "0.0.0"},
            "/api/agent-services": {"revision": 1, "agents": list(AGENTS.values())},
        }
        self._answer(answers[self.path])

    def do_PUT(self) -> None:
        """Take what a stand-in adapter says of itself."""
        agent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        AGENTS[agent["id"]] = agent
        self._answer({})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the parent's name
        """Say nothing."""

    def _answer(self, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser()
    for name in ("--config", "--host", "--port"):
        parser.add_argument(name)
    line = parser.parse_args()
    ordered, order = os.pipe()

    def obey(number: int, _: object) -> None:
        with Path("events").open("a", encoding="utf-8") as events:
            events.write(f"manager {signal.Signals(number).name}\n")
        os.write(order, b"!")  # an Event is not safe to set in a handler

    signal.signal(signal.SIGTERM, obey)
    signal.signal(signal.SIGINT, obey)
    server = ThreadingHTTPServer((line.host, int(line.port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Path("manager.pid").write_text(str(os.getpid()), encoding="utf-8")
    sys.stdout.write(json.dumps({"level": "info", "message": "manager listens", "port": int(line.port)}) + "\n")
    sys.stdout.flush()
    os.read(ordered, 1)


if __name__ == "__main__":
    main()
