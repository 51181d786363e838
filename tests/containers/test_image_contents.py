"""What an image lets nobody do, and the list of what is in it."""

import json
from typing import Any

import pytest
from agent_contract import __version__

from tests.containers.test_images import BASE, OURS, run

HOME = {"agent-manager:dev": "/opt/manager", "agent-adapter:dev": "/opt/agent", "agent-examples:dev": "/opt/agent"}
DESCRIBED = {"/opt/manager": "agent-manager", "/opt/agent": "agent-adapter"}
INSTALLED = (
    "import importlib.metadata as m, json;"
    " print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in m.distributions()}))"
)
TOOLS = ("uv", "gcc", "cc", "make", "git", "curl", "wget", "cyclonedx-py")

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


def found(images: Any, image: str, *conditions: str) -> list[str]:
    """Give the files of an image of which something holds."""
    return run(images, image, "sh", "-c", f"find / -xdev {' '.join(conditions)} 2>/dev/null || true").split()


@pytest.mark.parametrize("image", OURS)
def test_the_bill_of_materials_is_what_is_installed(images: Any, image: str) -> None:
    """CycloneDX, each package with its version, and where it is from an index its package URL; none is left out."""
    bill = json.loads(run(images, image, "cat", f"{HOME[image]}/sbom.cdx.json"))
    assert bill["bomFormat"] == "CycloneDX"
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == (DESCRIBED[HOME[image]], __version__)
    listed = {part["name"].lower().replace("_", "-"): part["version"] for part in [*bill["components"], root]}
    assert listed == json.loads(run(images, image, "python", "-c", INSTALLED))
    without = {part["name"] for part in bill["components"] if not part.get("purl", "").startswith("pkg:pypi/")}
    assert without == {"agent-contract"}


@pytest.mark.parametrize("image", OURS)
def test_nothing_in_an_image_makes_anybody_another_user(images: Any, image: str) -> None:
    """No setuid, no setgid; the base's own have lost theirs."""
    assert found(images, BASE, "-type f -perm /6000") != []
    assert found(images, image, "-type f -perm /6000") == []


@pytest.mark.parametrize("image", OURS)
def test_its_user_can_change_nothing_that_runs(images: Any, image: str) -> None:
    """Even where the root could be written: everything is root's, and for others to read."""
    places = "-type f \\( -perm -o+w -o -user 10001 -o -group 10001 \\) -not -path '/proc/*' -not -path '/sys/*'"
    assert found(images, image, places) == []


@pytest.mark.parametrize("image", OURS)
def test_nothing_that_built_an_image_is_left_in_it(images: Any, image: str) -> None:
    """No compiler, no downloader; pip is the base's own, and stays where agents' images install with it."""
    wanted = [*TOOLS, "pip"] if image == "agent-manager:dev" else list(TOOLS)
    printed = run(images, image, "sh", "-c", f"for one in {' '.join(wanted)}; do command -v $one; done; true")
    assert printed == ""
    assert found(images, image, "-path '/opt/*/site-packages/pip'", "-o -path '/build/*'", "-o -name .git") == []


@pytest.mark.parametrize("image", OURS)
def test_no_secret_is_in_an_image_or_its_history(images: Any, image: str) -> None:
    """No variable of its configuration and no step of its build names one, and no key lies in it."""
    described = images.images.get(image)
    variables = [one.partition("=")[0] for one in described.attrs["Config"]["Env"]]
    assert [name for name in variables if any(word in name for word in ("TOKEN", "SECRET", "PASS", "API_KEY"))] == []
    steps = " ".join(step["CreatedBy"] or "" for step in described.history())
    assert [word for word in ("--mount=type=secret", "_TOKEN=", "_PASSWORD=", "_API_KEY=") if word in steps] == []
    assert (
        found(
            images,
            image,
            "-type f \\( -name '*.key' -o -name 'id_*sa' -o -name '.netrc' -o -name '.pypirc' -o -name 'pip.conf' \\)",
        )
        == []
    )
