"""What the manager may do in a cluster, and what pods must be like."""

import json
from pathlib import Path

import pytest

from tests.cluster.cluster import MANAGER, RELEASE, Namespace

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

GOLDEN = Path(__file__).parent / "manager-may.txt"


def service_account(release: Namespace) -> str:
    """Give the manager's ServiceAccount."""
    (manager,) = release.get("deployments", MANAGER)
    return str(manager["spec"]["template"]["spec"]["serviceAccountName"])


def test_the_manager_may_do_what_is_written_down_and_no_more(release: Namespace) -> None:
    """A verb more or less is a change that somebody must have wanted: `kubectl auth can-i --list` against a file."""
    user = f"system:serviceaccount:{release.name}:{service_account(release)}"
    listed = release.kubectl("auth", "can-i", "--list", "--as", user, "--no-headers")
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    own = sorted(line for line in lines if "selfsubject" not in line and "[/" not in line)
    assert own == GOLDEN.read_text().splitlines()


def test_the_namespace_refuses_a_pod_that_is_not_restricted(release: Namespace) -> None:
    """The release's own pods live where the standard is enforced, and this shows that it is."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless"},
        "spec": {"containers": [{"name": "one", "image": "agent-examples:dev"}]},
    }
    said = release.kubectl("apply", "--filename", "-", text=json.dumps(pod), check=False)
    assert "violates PodSecurity" in said


def test_the_release_is_named_by_the_standard_labels(release: Namespace) -> None:
    """Every object can be found by the release's name."""
    found = release.get("all", f"app.kubernetes.io/instance={RELEASE}")
    assert {one["kind"] for one in found} >= {"Deployment", "Pod", "ReplicaSet", "Service"}
