"""Objects that tests apply beside the chart's: Deployments of an agent that are not as they should be."""

from typing import Any

from tests.cluster.cluster import AGENT

EXAMPLES_IMAGE = "agent-examples:dev"


def container(command: list[str], *, image: str = EXAMPLES_IMAGE, memory: str = "64Mi") -> dict[str, Any]:
    """Give a container that the standard `restricted` admits."""
    return {
        "name": "agent",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {"limits": {"memory": memory}, "requests": {"memory": memory, "cpu": "10m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def workload(agent: str, pod: dict[str, Any], replicas: int = 1, **metadata: Any) -> dict[str, Any]:
    """Give a Deployment with an agent's label, on itself and on its pods."""
    labels = {AGENT: agent}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": agent, "labels": labels, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False, **pod},
            },
        },
    }
