"""What is downloaded is what was locked, and an image is built without secrets and for nobody in particular."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))


def instructions(path: Path) -> list[str]:
    """Give the instructions of a Dockerfile, each on a line."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.name)
def test_every_package_has_one_version_and_its_hashes(path: Path) -> None:
    """An index that is taken over cannot give anything else, nor can a link to anywhere."""
    packages = [line for line in path.read_text().replace("\\\n", " ").splitlines() if line and line[0] not in "# "]
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+==[\w.!+-]+ ", package), package[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", package), package[:80]
    assert "://" not in path.read_text()


@pytest.mark.parametrize("path", [*DOCKERFILES, ROOT / "Makefile"], ids=lambda path: path.name)
def test_nothing_is_installed_without_hashes(path: Path) -> None:
    """Whatever installs from a lock file demands them; our own packages are built from what is here."""
    installs = re.findall(r"pip install(?:[^&\n]|\\\n)*", path.read_text())
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--offline" in install or "-e ./%" in install, install


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_ends_as_nobody_in_particular(path: Path) -> None:
    """The last user of every stage that is shipped is a number that is not root's."""
    stages = re.split(r"^FROM ", "\n".join(instructions(path)), flags=re.MULTILINE)[2:]
    users = [re.findall(r"^USER (\S+)", stage, re.MULTILINE) for stage in stages]
    assert users[0][-1] == "10001:10001"
    assert all(user[-1] == "10001:10001" for user in users if user)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_build_is_told_no_secret_and_fetches_nothing_by_itself(path: Path) -> None:
    """Arguments and variables stay in an image's history for all to read."""
    for line in instructions(path):
        word, _, rest = line.partition(" ")
        assert word != "ADD"
        assert not re.search(r"\b(curl|wget|git clone)\b", rest)
        if word in ("ARG", "ENV"):
            assert not re.search(r"(?i)token|secret|passw|api_?key|credential", rest), line


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_gets_a_bill_of_materials_and_no_way_to_become_another_user(path: Path) -> None:
    """Written by a tool that stays in the stage that builds."""
    _, build, shipped = re.split(r"^FROM ", "\n".join(instructions(path)), maxsplit=2, flags=re.MULTILINE)
    assert re.search(r"cyclonedx-py environment .*-o +/opt/\w+/sbom\.cdx\.json /opt/\w+/bin/python", build)
    assert "cyclonedx" not in shipped
    assert "/opt/sbom" not in shipped
    assert "-perm /6000 -exec chmod a-s {} +" in shipped
