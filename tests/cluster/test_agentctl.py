"""`agentctl -n` and `kubectl agents` with a real kubectl: a manager is found, reached, followed over its restarts."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agentctl.command import Running, agentctl, running
from tests.cluster.cluster import MANAGER, Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

PATH = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
"""kubectl finds its plugins there."""
ALONE = """
echo '{"runtime": {"discovery": {"mode": "registration"}}, "agents": []}' > /tmp/agents.json
exec agent-manager --insecure --host 0.0.0.0 --config /tmp/agents.json
"""
"""A manager that looks at no pods, so that it needs no rights."""


@pytest.fixture(scope="module")
def lone(namespace: Namespace) -> Namespace:
    """Give a namespace with a manager alone, and the Service by which it is found."""
    pod = container(["sh", "-c", ALONE], image="agent-manager:dev", memory="256Mi")
    pod["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    deployment = workload("manager", {"containers": [pod]})
    name, _, value = MANAGER.partition("=")
    selector = deployment["spec"]["selector"]["matchLabels"]
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    metadata = {"name": "the-manager", "labels": {name: value}}
    namespace.apply(deployment, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    namespace.kubectl("rollout", "status", "deployment/manager", "--timeout", "120s")
    return namespace


@pytest.fixture
def limited(lone: Namespace, tmp_path: Path) -> Iterator[Path]:
    """Give the kubeconfig of somebody who may look at Services and nothing else."""
    lone.kubectl("create", "serviceaccount", "guest")
    lone.kubectl("create", "role", "guest", "--verb=list", "--resource=services")
    lone.kubectl("create", "rolebinding", "guest", "--role=guest", f"--serviceaccount={lone.name}:guest")
    config: dict[str, Any] = json.loads(lone.kubectl("config", "view", "--raw", "--minify", "--output", "json"))
    config["users"][0]["user"] = {"token": lone.kubectl("create", "token", "guest").strip()}
    file = tmp_path / "guest.json"
    file.write_text(json.dumps(config))
    yield file
    for kind in ("serviceaccount", "role", "rolebinding"):
        lone.kubectl("delete", kind, "guest")


def test_a_manager_is_found_and_reached(lone: Namespace) -> None:
    """Nothing but a namespace has to be said."""
    ran = agentctl("-n", lone.name, "get", "agents", variables=PATH)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "no agents\n")


def test_kubectl_knows_it_as_its_plugin(lone: Namespace) -> None:
    """With kubectl's own flags, and in kubectl's own completion."""
    environment = {**os.environ, **PATH}
    for words in (("agents", "-n", lone.name, "get", "agents", "-o", "json"), ("__complete", "agents", "get", "ag")):
        ran = run("env", f"PATH={environment['PATH']}", "kubectl", *words)
        assert ran.stdout.startswith('{\n  "agents": []' if words[0] == "agents" else "agents\t")


def test_a_namespace_without_a_manager_is_named(lone: Namespace) -> None:
    """With the context, so that a wrong one shows."""
    del lone
    context = run("kubectl", "config", "current-context").stdout.strip()
    ran = agentctl("-n", "kube-public", "get", "agents", variables=PATH)
    assert ran.returncode == 3
    assert f"no manager in namespace kube-public of context {context}: " in ran.stderr


def test_who_may_not_forward_is_told_so(lone: Namespace, limited: Path) -> None:
    """In the API server's words; with the rights that the docs name it works."""
    ran = agentctl("--kubeconfig", str(limited), "-n", lone.name, "get", "agents", variables=PATH)
    assert ran.returncode == 1
    assert f"cannot reach the manager at service/the-manager in namespace {lone.name}" in ran.stderr
    assert "is forbidden" in ran.stderr
    lone.apply(role())
    assert agentctl("--kubeconfig", str(limited), "-n", lone.name, "get", "agents", variables=PATH).returncode == 0


def role() -> dict[str, Any]:
    """Give what somebody needs who talks to a manager through kubectl."""
    rules = {"services": ["get", "list"], "pods": ["get", "list"], "pods/portforward": ["create"]}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "guest"},
        "rules": [{"apiGroups": [""], "resources": [name], "verbs": verbs} for name, verbs in rules.items()],
    }


def test_a_watch_goes_on_with_the_manager_s_next_pod(lone: Namespace) -> None:
    """The forward breaks with its pod; it is opened again, and kubectl is gone in the end."""
    with running("-n", lone.name, "get", "agents", "-w", variables=PATH) as watch:
        watch.until("no agents")
        lone.kubectl("delete", "pods", "--selector", "agent-orchestration.dev/agent=manager")
        watch.until(f"the manager at service/the-manager in namespace {lone.name}")
        text = watch.until("is back")
        assert "trying again until it is back" in text
        (forward,) = _forwards(watch)
        watch.process.send_signal(signal.SIGINT)
        assert watch.rest()[0] == 130
        assert not forward.exists()


async def test_a_rollout_is_followed_and_loses_nothing(release: Namespace, client: ManagerClient) -> None:
    """`agentctl rollout` waits until every pod is another; `prove` does that under load and gives the ledger."""
    before = {one["instanceId"] for one in await client.instances("executor")}
    ran = await in_thread(lambda: agentctl("-n", release.name, "rollout", "executor", variables=PATH))
    assert (ran.returncode, ran.stdout) == (0, "executor: rollout done\n"), ran.stderr
    after = {one["instanceId"] for one in await client.instances("executor") if one["state"] == "running"}
    assert len(after) == 2
    assert not after & before
    call = ("-p", 'steps:=[{"wait": 0.05}]', "--calls", "100", "--strategy", "rollout", "-o", "json")
    ran = await in_thread(lambda: agentctl("-n", release.name, "prove", "executor", *call, variables=PATH))
    assert ran.returncode == 0, ran.stderr
    proof = json.loads(ran.stdout)
    assert (proof["action"], proof["doubts"], proof["calls"]["refused"]) == ("rollout", [], 0)
    assert proof["drains"]["clean"] == 2


def _forwards(watch: Running) -> list[Path]:
    """Give the processes of kubectl that a command has, as they are in /proc."""
    children = Path(f"/proc/{watch.process.pid}/task").glob("*/children")
    processes = [Path("/proc") / pid for file in children for pid in file.read_text().split()]
    return [process for process in processes if "port-forward" in (process / "cmdline").read_text()]
