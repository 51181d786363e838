"""The chart rendered by Helm itself, which comes as a library: no binary and no cluster are needed."""

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this machine")

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "agent-orchestration"
CI = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "fleet"
RELEASE = "agents"
Object = dict[str, Any]

WORKLOADS = ("Deployment", "Pod")
"""The kinds of objects of the chart that have containers."""


def values(ci: str | None = None, **changes: Any) -> dict[str, Any]:
    """Give the values of a file of ci/, or none, with changes: mappings are merged into those of the file."""
    given = yaml.safe_load((CHART / "ci" / f"{ci}-values.yaml").read_text()) if ci else {}
    return _merged(given, changes)


def render(ci: str | None = None, **changes: Any) -> list[Object]:
    """Give the objects that these values make; raises helm.HelmError where the chart refuses them."""
    return copy.deepcopy(_rendered(json.dumps(values(ci, **changes), sort_keys=True)))


def notes(ci: str | None = None, **changes: Any) -> str:
    """Give what Helm prints after installing these values."""
    rendered = _chart().render(values(ci, **changes), name=RELEASE, namespace=NAMESPACE)
    return str(rendered["agent-orchestration/templates/NOTES.txt"])


def refusal(ci: str | None = None, **changes: Any) -> str:
    """Give the message with which the chart refuses these values."""
    with pytest.raises(helm.HelmError) as caught:
        render(ci, **changes)
    return str(caught.value)


def the(objects: list[Object], kind: str, name: str) -> Object:
    """Give the one object of this kind and name."""
    (found,) = (thing for thing in objects if thing["kind"] == kind and thing["metadata"]["name"] == name)
    return found


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Give the objects of these kinds."""
    return [thing for thing in objects if thing["kind"] in kinds]


def pod_spec(workload: Object) -> dict[str, Any]:
    """Give the pod's spec of a workload, or of a pod."""
    spec: dict[str, Any] = workload["spec"] if workload["kind"] == "Pod" else workload["spec"]["template"]["spec"]
    return spec


def containers(workload: Object) -> list[dict[str, Any]]:
    """Give all containers of a workload, those that begin first included."""
    spec = pod_spec(workload)
    return [*spec.get("initContainers", []), *spec["containers"]]


def adapter(objects: list[Object], name: str) -> dict[str, Any]:
    """Give the adapter's container of the agent's Deployment with this name."""
    (found,) = (one for one in containers(the(objects, "Deployment", name)) if one["name"] == "adapter")
    return found


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables of a container that have a value of their own."""
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


@cache
def _chart() -> Any:
    return helm.Chart.load(str(CHART))


@cache
def _rendered(text: str) -> list[Object]:
    """Give the objects, made once for the same values: many tests look at them."""
    rendered = _chart().render(json.loads(text), name=RELEASE, namespace=NAMESPACE)
    texts = [content for path, content in sorted(rendered.items()) if path.endswith(".yaml")]
    return [thing for content in texts for thing in yaml.load_all(content, yaml.CSafeLoader) if thing]


def _merged(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result
