"""Pods as an operator sees them, from a listing that a manager gave."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agentctl.command import invoke
from tests.agentctl.fake_manager import FakeManager

LISTING = Path(__file__).parents[1] / "manager" / "listing_pods.json"
FLEET = "/api/agent-services"


@pytest.fixture
def manager_with_pods(manager: FakeManager) -> FakeManager:
    """Give a manager with an agent of three pods: one runs, one is being deleted, one has no image."""
    fleet: dict[str, Any] = json.loads(LISTING.read_text())
    manager.on("GET", FLEET, fleet)
    manager.on("GET", f"{FLEET}/a", fleet["agents"][0])
    manager.on("GET", f"{FLEET}/a/actions", {"actions": []})
    return manager


def rows(manager: FakeManager, *words: str) -> list[dict[str, str]]:
    """Give the rows of a table by their columns' names."""
    head, *lines = invoke("get", *words, manager=manager.url).stdout.splitlines()
    return [dict(zip(head.split(), line.split(), strict=True)) for line in lines]


def test_get_agents_says_what_is_wrong_with_a_pod(manager_with_pods: FakeManager) -> None:
    """How many its workloads ask for, how often its containers were restarted, and why."""
    shown = {row["NAME"]: row for row in rows(manager_with_pods, "agents")}
    agent = shown["a"]
    assert (agent["READY"], agent["STATE"], agent["RESTARTS"], agent["PROBLEM"]) == (
        "1/3",
        "running",
        "3",
        "oom-killed",
    )
    assert (shown["idle"]["READY"], shown["idle"]["STATE"]) == ("0/0", "stopped")


def test_get_instances_shows_pods(manager_with_pods: FakeManager) -> None:
    """By name, also those without a known process; wide shows their node and the platform's own word too."""
    shown = [
        (row["POD"], row["STATE"], row["REACHABLE"], row["RESTARTS"], row["PROBLEM"])
        for row in rows(manager_with_pods, "instances", "--agent", "a")
    ]
    assert shown == [
        ("a-p1", "running", "yes", "3", "oom-killed"),
        ("a-p2", "stopping", "no", "0", "-"),
        ("a-p3", "starting", "no", "0", "image-pull"),
    ]
    wide = rows(manager_with_pods, "instances", "--agent", "a", "-o", "wide")
    assert [(row["NODE"], row["REASON"]) for row in wide] == [
        ("node-1", "OOMKilled"),
        ("node-2", "-"),
        ("-", "ErrImagePull"),
    ]


def test_describe_agent_tells_of_each_pod(manager_with_pods: FakeManager) -> None:
    """Where it is, in which phase and why, what it was made of, and how many are to be."""
    told = " ".join(invoke("describe", "agent", "a", manager=manager_with_pods.url).stdout.split())
    for part in (
        "Ready: 1/3 Workloads: ask for 3, 3 are there",
        "Pod: prod/a-p1 on node-1: Running, ready (OOMKilled) Image: planner:1",
        "Restarts: 3",
        "Problem: oom-killed: container agent was killed for its memory; restarted 3 times, since",
        "Pod: prod/a-p2 on node-2: Running, not ready Image: planner:1",
        "Pod: prod/a-p3 on no node yet: Pending, not ready (ErrImagePull) Image: planner:9",
        "Problem: image-pull: cannot get the image planner:9 of container agent: ErrImagePull, since",
    ):
        assert part in told, told
