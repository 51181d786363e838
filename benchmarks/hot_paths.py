"""The hot paths beside something real, in one run, as ratios: `make bench`.

- forwarding: 32 connections call an agent through the manager, and through nginx, with the same backend behind both;
  nginx once as it comes, with a new connection for each call, and once tuned to keep its connections to the backend;
- adapter: 32 connections call the adapter's echo, and a raw ASGI echo on uvicorn.

Each pair is measured in turn, several times, and the medians are compared: on a shared machine only the ratio means
anything. Needs nginx and wrk (Debian: apt-get install nginx-light wrk). Traffic stays on 127.0.0.1.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

CONNECTIONS = 32
SECONDS = 3
ROUNDS = 5
INSTANCE = "bench-instance"
PAYLOAD = json.dumps({"parameters": {"text": "x" * 170}})
ANSWER = json.dumps({"taskId": "t", "result": {"text": "x" * 130}, "durationSeconds": 0.001})

WRK_SCRIPT = """
wrk.method = "POST"
wrk.body = [[BODY]]
wrk.headers["Content-Type"] = "application/json"
"""

NGINX = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log stderr crit;
events {{ worker_connections {connections}; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; default_type application/json; keepalive_requests 100000000;
  {body}
}}
"""
BACKEND = """
server {{ listen 127.0.0.1:{port};
  location = /status {{ return 200 '{{"status":"running","instanceId":"{instance}"}}'; }}
  location = /info {{ return 200 '{{"id":"bench","instanceId":"{instance}"}}'; }}
  location / {{ return 200 '{answer}'; }} }}
"""
PLAIN_PROXY = """
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{backend}; }} }}
"""
"""nginx as it comes: a new connection to the backend for each call."""
PROXY = """
upstream backend {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port};
  location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""
RAW_ASGI = """
import json
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = json.dumps({"taskId": "t", "result": json.loads(body)["parameters"], "durationSeconds": 0.0}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""
ECHO_AGENT = """
async def echo(parameters):
    return parameters
"""


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], url: str, directory: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the block ends; it is there when `url` answers."""
    log = (directory / f"{Path(command[0]).name}.log").open("ab")
    process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        _until(lambda: _answers(url), f"{' '.join(command)} does not answer at {url}; see {log.name}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        log.close()


def requests_per_second(
    url: str, directory: Path, *, seconds: int = SECONDS, headers: Mapping[str, str] | None = None
) -> float:
    """Give what wrk measures at `url` in so many seconds; stops the run when an answer was not 2xx."""
    script = directory / "post.lua"
    script.write_text(WRK_SCRIPT.replace("BODY", PAYLOAD))
    named = [word for name, value in (headers or {}).items() for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *named, "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        sys.exit(f"not every answer of {url} was a success:\n{output}")
    return float(next(line for line in output.splitlines() if "Requests/sec" in line).split()[1])


def compare(name: str, ours: str, reference: str, directory: Path) -> None:
    """Measure both in turn and print the ratio of the medians, and that of each round."""
    pairs = []
    for number in range(ROUNDS):
        print(f"  {name}: round {number + 1} of {ROUNDS}", end="\r", flush=True)
        pairs.append((requests_per_second(ours, directory), requests_per_second(reference, directory)))
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    each = " ".join(f"{a / b:.2f}" for a, b in pairs)
    print(f"{name:<28} {mine:>9.0f}/s   reference {other:>9.0f}/s   ratio {mine / other:.2f}   (rounds {each})")


def forwarding(directory: Path) -> None:
    """Compare the manager with nginx in front of the same backend."""
    backend, plain, kept, manager = free_port(), free_port(), free_port(), free_port()
    nginx(directory, "backend", BACKEND.format(port=backend, answer=ANSWER, instance=INSTANCE))
    nginx(directory, "plain", PLAIN_PROXY.format(port=plain, backend=backend))
    nginx(directory, "kept", PROXY.format(port=kept, backend=backend))
    with (
        running(["nginx", "-c", f"{directory}/backend.conf"], f"http://127.0.0.1:{backend}/status", directory),
        running(["nginx", "-c", f"{directory}/plain.conf"], f"http://127.0.0.1:{plain}/status", directory),
        running(["nginx", "-c", f"{directory}/kept.conf"], f"http://127.0.0.1:{kept}/status", directory),
        running(
            [sys.executable, "-m", "agent_manager", "--port", str(manager)],
            f"http://127.0.0.1:{manager}/health",
            directory,
            REGISTRATION_TTL_SECONDS="600",
        ),
    ):
        base = f"http://127.0.0.1:{manager}/api/agent-services"
        service = {"id": "bench", "serviceUrl": f"http://127.0.0.1:{backend}", "instanceId": INSTANCE}
        post(f"{base}/register", {**service, "status": "running"})
        ours = f"{base}/bench/execute"
        compare("forwarding / nginx", ours, f"http://127.0.0.1:{plain}/execute", directory)
        compare("forwarding / nginx, kept", ours, f"http://127.0.0.1:{kept}/execute", directory)


def adapter(directory: Path) -> None:
    """Compare the adapter's echo with a raw ASGI echo on plain uvicorn."""
    (directory / "raw_asgi.py").write_text(RAW_ASGI)
    (directory / "echo_agent.py").write_text(ECHO_AGENT)
    ours, raw = free_port(), free_port()
    command = [sys.executable, "-m", "agent_adapter", "--agent", "bench", "--entry-point", "echo_agent:echo"]
    uvicorn = [sys.executable, "-m", "uvicorn", "raw_asgi:app", "--no-access-log", "--log-level", "warning"]
    with (
        running(
            [*command, "--host", "127.0.0.1", "--port", str(ours)],
            f"http://127.0.0.1:{ours}/ready",
            directory,
            AGENT_MAX_CONCURRENCY="64",
        ),
        running([*uvicorn, "--port", str(raw)], f"http://127.0.0.1:{raw}/", directory),
    ):
        compare("adapter / raw ASGI", f"http://127.0.0.1:{ours}/execute", f"http://127.0.0.1:{raw}/", directory)


def main() -> None:
    """Run what was named, or all."""
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"cannot measure without {' and '.join(missing)}: apt-get install nginx-light wrk")
    known: dict[str, Callable[[Path], None]] = {"forwarding": forwarding, "adapter": adapter}
    with tempfile.TemporaryDirectory() as directory:
        for name in sys.argv[1:] or known:
            known[name](Path(directory))


def nginx(directory: Path, name: str, body: str, *, connections: int = 1024) -> None:
    """Write nginx's configuration of this name."""
    text = NGINX.format(dir=directory, name=name, body=body, connections=connections)
    (directory / f"{name}.conf").write_text(text)


def post(url: str, body: object) -> None:
    """Send JSON; raises when the answer is an error."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310  # loopback http
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  # the same


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  # loopback http
    except urllib.error.HTTPError as error:
        return error.code != HTTPStatus.SERVICE_UNAVAILABLE
    except OSError:
        return False
    return True


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + 20
    while not holds():
        if time.monotonic() > end:
            sys.exit(otherwise)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
