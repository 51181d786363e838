"""An agent in another process that speaks JSON lines: it streams, waits to be cancelled, dies as it is told."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

CANCELLED: dict[str, threading.Event] = {}
SPEAKING = threading.Lock()


def say(task_id: str, **word: Any) -> None:
    """Write one line."""
    with SPEAKING:
        sys.stdout.write(json.dumps({"taskId": task_id, **word}) + "\n")
        sys.stdout.flush()


def run(task_id: str, parameters: dict[str, Any]) -> None:
    """Do what the parameters say."""
    if "book" in parameters:
        with Path(parameters["book"]).open("a") as book:
            book.write(f"{parameters['number']}\n")
    if parameters.get("die"):
        os._exit(7)
    if parameters.get("deaf"):
        threading.Event().wait()
    for number in range(parameters.get("chunks", 0)):
        while number and not Path(f"{parameters['gate']}{number}").exists():
            time.sleep(0.005)
        say(task_id, chunk={"number": number})
    if "marks" in parameters:
        wait(task_id, Path(parameters["marks"]))
        return
    time.sleep(parameters.get("seconds", 0))
    say(task_id, result=None if parameters.get("chunks") else {"number": parameters.get("number")})


def wait(task_id: str, marks: Path) -> None:
    """Report, wait for the cancelling message, mark it, and end."""
    say(task_id, progress={"fraction": 0.25, "message": "waiting"})
    marks.write_text("began\n")
    CANCELLED[task_id].wait()
    marks.write_text("began\ncancelled\n")
    say(task_id, error="cancelled")


def main() -> None:
    """Take tasks and cancels until the adapter closes the line."""
    for line in sys.stdin:
        said = json.loads(line)
        if said.get("cancel"):
            CANCELLED[said["taskId"]].set()
        else:
            CANCELLED[said["taskId"]] = threading.Event()
            threading.Thread(target=run, args=(said["taskId"], said["parameters"]), daemon=True).start()


if __name__ == "__main__":
    main()
