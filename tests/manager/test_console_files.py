"""The console's files: vendored ones are what they say, our own keep to the house's rules."""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(str(files("agent_manager.console")))
STATIC = ROOT / "static"
VENDOR = STATIC / "vendor"
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 40
_FUNCTION = re.compile(r"^( *)(?:export )?(?:async )?(?:function\*? \w+|(?:static |async |#|\*)*\w+)\(.*\) \{$")
_NO_FUNCTION = re.compile(r"^ *(?:if|for|while|switch|catch|return)\b")


def own_modules() -> list[Path]:
    """Give our own modules."""
    return [path for path in sorted(STATIC.rglob("*.js")) if VENDOR not in path.parents]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Give the first line of each function, and how many lines it has; the formatter puts its end where it began."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        found = _FUNCTION.match(line)
        if found and not _NO_FUNCTION.match(line):
            end = next(index for index in range(number + 1, len(lines)) if lines[index].startswith(f"{found[1]}}}"))
            yield line.strip(), end - number + 1


def test_every_vendored_file_is_as_the_registry_gave_it() -> None:
    """By its SHA-256, with the package, its version and its licence; none is there that nobody named."""
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    named = {}
    for package in manifest["packages"]:
        assert {"LICENSE", *package["files"]} == set(package["files"]), package["package"]
        assert package["version"]
        assert package["licence"]
        named.update({f"{package['package']}/{path}": digest for path, digest in package["files"].items()})
    present = {str(path.relative_to(VENDOR)): path for path in VENDOR.rglob("*") if path.is_file()}
    del present["manifest.json"]
    assert {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in present.items()} == named


def test_no_module_is_long_and_no_function_is() -> None:
    """The rules of the house hold here too: a module that is longer has two subjects."""
    modules = {str(path.relative_to(STATIC)): len(path.read_text().splitlines()) for path in own_modules()}
    long_functions = [
        f"{path.relative_to(STATIC)}: {name} has {lines}"
        for path in own_modules()
        for name, lines in functions(path)
        if lines > MOST_LINES_OF_A_FUNCTION
    ]
    assert {path: lines for path, lines in modules.items() if lines > MOST_LINES} == {}
    assert long_functions == []
    assert sum(1 for path in own_modules() for _ in functions(path)) > 200


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "unsafeHTML", "eval(", "document.write"]
)
def test_no_text_becomes_markup_or_code(word: str) -> None:
    """Our own modules do not even name what could."""
    assert [path.name for path in own_modules() if word in path.read_text()] == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address of another host in modules, styles and the page; SVG's own namespace is a name, not an address."""
    texts = [*own_modules(), *STATIC.rglob("*.css"), ROOT / "index.html", STATIC / "icon.svg"]
    found = [
        f"{path.name}: {address}"
        for path in texts
        for address in re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"'`)]*""", path.read_text())
        if address != "http://www.w3.org/2000/svg"
    ]
    assert found == []


def test_templates_set_no_style_attribute() -> None:
    """The policy forbids it: styles of single elements are set by property (`.style=`)."""
    assert [path.name for path in own_modules() if re.search(r"[^.]style=", path.read_text())] == []


def test_every_import_leads_to_a_module() -> None:
    """A wrong path would be seen only by a browser."""
    broken = [
        f"{path.relative_to(STATIC)}: {target}"
        for path in own_modules()
        for target in re.findall(r"""from "(\.[^"]+)\"""", path.read_text())
        if not (path.parent / target).resolve().is_file()
    ]
    assert broken == []
