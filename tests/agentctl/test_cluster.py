"""`-n`, `--context`, `kubectl agents`: a manager in a cluster, through the user's kubectl and a forwarded port."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

import pytest
from agentctl.cluster import forward, kubectl
from agentctl.kubectl_completion import main as complete

from tests.agentctl.command import agentctl, invoke, running
from tests.agentctl.fake_kubectl import Cluster, service
from tests.agentctl.fake_manager import FakeManager, Reply, agent, event, instance, listing
from tests.agentctl.test_watching import HeldStream

FLEET = "/api/agent-services"
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Give a cluster whose kubectl a test can put into PATH."""
    return Cluster(tmp_path)


@pytest.fixture
def run(cluster: Cluster) -> Iterator[Run]:
    """Give `agentctl` in this process, with the cluster's kubectl in PATH."""
    with mock.patch.dict(os.environ, cluster.variables):
        yield invoke


def test_a_manager_is_found_by_its_label_and_reached_by_a_forward(cluster: Cluster, manager: FakeManager) -> None:
    """What kubectl is asked for is the Service with the label; no kubectl is left behind."""
    manager.on("GET", FLEET, listing(agent("planner", instance())))
    cluster.tell(services=[service("fleet")], pod=manager.port)
    run = agentctl("-n", "prod", "get", "agents", "-o", "name", variables=cluster.variables)
    assert (run.returncode, run.stdout, run.stderr) == (0, "agent/planner\n", "")
    _, found, forwarded = (call.split(" ", 1)[1] for call in cluster.calls())
    label = "get service -l app.kubernetes.io/component=manager -o json"
    assert found == f"--context=test --namespace=prod {label} --request-timeout=10s"
    target = "--address=127.0.0.1 --pod-running-timeout=10s service/fleet :80"
    assert forwarded == f"--context=test --namespace=prod port-forward {target}"
    assert cluster.forwards() == []


@pytest.mark.parametrize("where", [("--context", "other"), ("--namespace", "agents"), ("--kubeconfig", "file")])
def test_each_of_the_three_options_means_a_cluster_whatever_the_variable_says(
    cluster: Cluster, manager: FakeManager, run: Run, where: tuple[str, str]
) -> None:
    """They stand before the command or behind it, and the command line wins over the environment."""
    manager.on("GET", FLEET, listing())
    cluster.tell(services=[service()], pod=manager.port)
    for line in ((*where, "get", "agents"), ("get", "agents", *where)):
        assert run(*line, manager="http://127.0.0.1:9").returncode == 0
    assert "=".join(where) in cluster.calls()[-1]


def test_without_them_kubectl_is_never_called(cluster: Cluster, manager: FakeManager, run: Run) -> None:
    """A laptop's agentctl has nothing to do with a cluster that kubectl happens to know."""
    manager.on("GET", FLEET, listing())
    assert run("get", "agents", manager=manager.url).returncode == 0
    assert cluster.calls() == []


def test_a_url_and_a_cluster_on_one_command_line_exit_2(run: Run) -> None:
    """Nobody can tell which was meant."""
    result = run("--manager", "http://127.0.0.1:9", "get", "agents", "-n", "prod")
    assert result.returncode == 2
    assert "leave out -n, --context and --kubeconfig" in result.stderr


def test_no_manager_exits_3_and_names_the_place(run: Run) -> None:
    """Namespace, context, label, and what to type."""
    result = run("--context", "prod", "get", "agents")
    assert (result.returncode, result.stdout) == (3, "")
    place = "namespace agents of context prod"
    label = "app.kubernetes.io/component=manager"
    assert result.stderr.startswith(f"error: no manager in {place}: no Service has {label}: -n NAMESPACE says")


def test_several_managers_exit_2_and_are_named(cluster: Cluster, manager: FakeManager, run: Run) -> None:
    """The line to type is there; the headless Service for the adapters is no second manager."""
    manager.on("GET", FLEET, listing())
    cluster.tell(services=[service("one"), service("two")], pod=manager.port)
    result = run("-n", "prod", "get", "agents")
    assert result.returncode == 2
    assert "the Services one, two have" in result.stderr
    assert "kubectl --namespace=prod port-forward service/one 8080:80" in result.stderr
    cluster.tell(services=[service("one"), service("two", clusterIP="None")])
    assert run("-n", "prod", "get", "agents").returncode == 0


def test_the_port_is_that_named_http_or_the_only_one(cluster: Cluster, manager: FakeManager, run: Run) -> None:
    """Where neither tells, the ports that there are are named."""
    manager.on("GET", FLEET, listing())
    metrics, http = {"name": "metrics", "port": 9090}, {"name": "http", "port": 8088}
    cluster.tell(services=[service(ports=[metrics, http])], pod=manager.port)
    assert run("-n", "a", "get", "agents").returncode == 0
    assert cluster.calls()[-1].endswith(" :8088")
    cluster.tell(services=[service(ports=[metrics, {"port": 1}])])
    assert "none is called http (metrics 9090, (no name) 1)" in run("-n", "a", "get", "agents").stderr


def test_without_kubectl_exits_5(tmp_path: Path) -> None:
    """It says what is missing, and the other way in."""
    result = agentctl("-n", "prod", "get", "agents", variables={"PATH": str(tmp_path)})
    assert (result.returncode, "no kubectl in PATH: install it, or say --manager" in result.stderr) == (5, True)


@pytest.mark.parametrize(
    ("verb", "said", "exit_code"),
    [
        ("get", 'Error from server (Forbidden): services is forbidden: User "ada" cannot list resource', 1),
        ("get", "error: You must be logged in to the server (Unauthorized)", 1),
        ("get", "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", 5),
        ("get", "Error in configuration: context was not found for specified context: prod", 3),
        ("port-forward", 'Error from server (Forbidden): pods "m" is forbidden: cannot create "pods/portforward"', 1),
        ("port-forward", "error: unable to forward port because pod is not running. Current status=Pending", 5),
    ],
)
def test_what_kubectl_says_of_its_failure_is_shown(
    cluster: Cluster, run: Run, verb: str, said: str, exit_code: int
) -> None:
    """With the namespace that it looked into, and the exit code that fits."""
    noise = "E1125 00:57:32.763898   29298 memcache.go:265] Unhandled Error"
    cluster.tell(services=[service()], **{f"{verb}Error": f"{noise}\n{said}"})
    result = run("-n", "prod", "get", "agents")
    assert (result.returncode, result.stdout) == (exit_code, "")
    assert result.stderr.splitlines()[-1].endswith(said if said.startswith("Unable") else said.partition(": ")[2])
    assert "namespace prod of context test" in result.stderr
    assert noise not in result.stderr


def test_a_forward_that_does_not_stand_in_time_is_given_up(cluster: Cluster, run: Run) -> None:
    """It may wait for ever; we do not, and end it."""
    cluster.tell(services=[service()], silent=True)
    with mock.patch.object(forward, "_OPEN_SECONDS", 0.5):
        result = run("-n", "prod", "get", "agents")
    assert result.returncode == 5
    assert "cannot reach the manager at service/agent-manager in namespace prod of context test" in result.stderr
    assert cluster.forwards() == []


def test_a_login_that_kubectl_asks_for_is_shown_while_it_waits(
    cluster: Cluster, manager: FakeManager, run: Run
) -> None:
    """Credential plugins tell on standard error what to do, and wait until it is done."""
    manager.on("GET", FLEET, listing())
    cluster.tell(services=[service()], pod=manager.port, login="open https://login.test", loginSeconds=0.5)
    with mock.patch.object(kubectl, "_QUIET_SECONDS", 0.2):
        result = run("-n", "prod", "get", "agents")
    assert (result.returncode, result.stderr.splitlines()[0]) == (0, "kubectl: open https://login.test")


def test_a_watch_opens_the_forward_again_when_its_pod_goes(cluster: Cluster, manager: FakeManager) -> None:
    """The next pod of the manager goes on; what changed meanwhile is shown."""
    before, after = agent("planner", instance()), agent("planner", instance(), state="paused")
    manager.on("GET", FLEET, listing(before), Reply(events=lambda: iter([event("listing", listing(before))])))
    cluster.tell(services=[service()], pod=manager.port)
    stream = HeldStream(event("listing", listing(after)))
    with (
        FakeManager() as successor,
        running("-n", "prod", "get", "agents", "-w", "-o", "wide", variables=cluster.variables) as watch,
    ):
        successor.on("GET", FLEET, Reply(events=stream))
        watch.until("ended the stream; trying again")
        (first,) = cluster.forwards()
        manager.stop()
        cluster.tell(pod=successor.port, context="another", namespace="elsewhere")
        text = watch.until("paused")
        (second,) = cluster.forwards()
        stream.let_go.set()
        watch.process.send_signal(signal.SIGINT)
        code, _ = watch.rest()
    assert "the manager at service/agent-manager in namespace prod of context test is back" in text
    assert (code, first != second, cluster.forwards()) == (130, True, [])
    assert "--context=test --namespace=prod port-forward" in cluster.calls()[-1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_kubectl_does_not_outlive_a_killed_agentctl(cluster: Cluster, manager: FakeManager, number: int) -> None:
    """Whatever ends us, no forwarded port stays open."""
    stream = HeldStream(event("listing", listing(agent())))
    manager.on("GET", FLEET, listing(agent()), Reply(events=stream))
    cluster.tell(services=[service()], pod=manager.port)
    with running("-n", "prod", "get", "agents", "-w", variables=cluster.variables) as watch:
        watch.until("planner")
        (pid,) = cluster.forwards()
        ended = os.pidfd_open(pid)
        watch.process.send_signal(number)
        seen, _, _ = select.select([ended], [], [], 10)
        os.close(ended)
        assert seen
        stream.let_go.set()


def test_kubectl_agents_means_the_current_context(cluster: Cluster, manager: FakeManager) -> None:
    """Without any option; its usage lines say how it was called, and advice is as it is typed."""
    manager.problem("GET", f"{FLEET}/nobody", 404, "unknown-agent", "no agent 'nobody'")
    cluster.tell(services=[service()], pod=manager.port)
    result = agentctl("get", "agents", "nobody", variables=cluster.variables, plugin=True)
    assert result.returncode == 3
    assert result.stderr.endswith("kubectl agents get agents lists those that it knows\n")
    assert "--context=test --namespace=agents" in cluster.calls()[-1]
    assert agentctl("--help", plugin=True).stdout.startswith("Usage: kubectl agents [OPTIONS]")
    count = len(cluster.calls())
    manager.on("GET", FLEET, listing())
    assert agentctl("get", "agents", manager=manager.url, variables=cluster.variables, plugin=True).returncode == 0
    assert len(cluster.calls()) == count


def test_kubectl_completes_what_stands_behind_agents(manager: FakeManager) -> None:
    """A line for each word, then a directive: 4 says that no file is meant, 0 that one may be."""
    manager.on("GET", FLEET, listing(agent("planner"), agent("executor")))
    assert completed("res")[0] == "resume\tlet a paused agent work again"
    assert completed("pause", "pl", manager=manager.url) == ["planner", ":4"]
    assert completed("get", "agents", "-o", "j") == ["json", ":4"]
    assert completed("execute", "planner", "-f", "") == [":0"]
    assert len(completed("")) > 15


def completed(*words: str, manager: str | None = None) -> list[str]:
    """Give what `kubectl_complete-agents` prints."""
    return invoke(*words, manager=manager, entry=complete).stdout.splitlines()
