"""Does what the file `ID.script` in the working directory says, so that a test can see what `agentctl up` makes of it.

A script is JSON: `exit` (leave with this code at once), `lines` (write these), `drainSeconds` (how long to drain),
`deaf` (obey no signal), `crashOnce` (exit 1 in the first life).
"""

import argparse
import http.client
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def main() -> None:
    """Live as the script says."""
    parser = argparse.ArgumentParser()
    for name in ("--agent", "--config", "--host", "--port"):
        parser.add_argument(name)
    parser.add_argument("--dummy", action="store_true")
    line = parser.parse_args()
    path = Path(f"{line.agent}.script")
    script = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    note(f"{line.agent} started")
    Path(f"{line.agent}.pid").write_text(str(os.getpid()), encoding="utf-8")
    for text in script.get("lines", []):
        sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if script.get("crashOnce") and not Path(f"{line.agent}.crashed").exists():
        Path(f"{line.agent}.crashed").touch()
        sys.exit(1)
    if "exit" in script:
        sys.stderr.write(script.get("error", "") + "\n")
        sys.exit(script["exit"])
    live(line, script)


def live(line: argparse.Namespace, script: dict[str, Any]) -> None:
    """Run until told to leave, and drain as long as the script says."""
    interrupts: list[int] = []
    ordered, order = os.pipe()

    def obey(number: int, _: object) -> None:
        note(f"{line.agent} {signal.Signals(number).name}")
        if script.get("deaf"):
            return
        interrupts.extend([number] if number == signal.SIGINT else [])
        if len(interrupts) > 1:
            os._exit(130)
        os.write(order, b"!")  # an Event is not safe to set in a handler

    signal.signal(signal.SIGTERM, obey)
    signal.signal(signal.SIGINT, obey)
    announce(line.agent, "running", None)
    os.read(ordered, 1)
    if seconds := script.get("drainSeconds"):
        blocker = {"taskId": "task-1", "ageSeconds": 1, "etaSeconds": 4}
        drain = {"reason": "signal", "remainingSeconds": 27, "etaSeconds": 4, "blockers": [blocker]}
        announce(line.agent, "stopping", drain)
        threading.Event().wait(seconds)
    note(f"{line.agent} left")


def announce(agent: str, state: str, drain: dict[str, Any] | None) -> None:
    """Tell the stand-in manager how this agent is."""
    schema = {"properties": {"goal": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["goal", "limit"]}
    instance = {"instanceId": f"{agent}-1", "state": state, "drain": drain}
    body = {"id": agent, "state": state, "parametersSchema": schema, "instances": [instance]}
    address = urlsplit(os.environ["MANAGER_URL"])
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    connection.request("PUT", "/", json.dumps(body))
    connection.getresponse().read()
    connection.close()


def note(text: str) -> None:
    """Write down what happened, for the test to read."""
    with Path("events").open("a", encoding="utf-8") as events:
        events.write(text + "\n")


if __name__ == "__main__":
    main()
