"""Ask the advisory database about every locked dependency: `make audit`.

pip-audit alone calls a lock file clean when the package index has no advisories to give: it skips what it cannot find.
Here that is no verdict. Exit codes: 0 clean, 1 a known vulnerability, 2 nothing can be said.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ACCEPTED: Final[dict[str, str]] = {}
"""Advisories that are lived with for now: their id, and the reason."""
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2
MOST_SECONDS: Final = 600
"""For one file of a hundred packages, at some seconds each where the network is slow."""


class NoVerdictError(Exception):
    """The advisory database did not say anything of some package."""


def vulnerabilities(report: str, accepted: dict[str, str]) -> list[str]:
    """Give a line for each known vulnerability that nobody accepted; raises NoVerdictError."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoVerdictError("pip-audit gave no report") from error
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        raise NoVerdictError("; ".join(skipped[:3]) or "pip-audit found no package to ask about")
    return [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {' '.join(one['fix_versions']) or 'no version'}"
        for package in packages
        for one in package["vulns"]
        if not {one["id"], *one.get("aliases", ())} & accepted.keys()
    ]


def report_of(file: str) -> str:
    """Have pip-audit ask about every package of a file with hashes; gives its JSON. Raises NoVerdictError."""
    pip_audit = str(Path(sys.executable).parent / "pip-audit")
    options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--aliases", "on"]
    command = [pip_audit, *options, "--requirement", file]
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=MOST_SECONDS)  # noqa: S603  # ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoVerdictError(str(error)) from error
    if not ran.stdout.strip():
        raise NoVerdictError((ran.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1])
    return ran.stdout


def main(files: list[str]) -> int:
    """Audit the files in turn, up to the first about which nothing can be said; gives the exit code."""
    code = CLEAN
    for file in files:
        try:
            found = vulnerabilities(report_of(file), ACCEPTED)
        except NoVerdictError as error:
            sys.stderr.write(
                f"cannot audit {file}: the advisory database cannot be asked: {error}\n"
                "This is no verdict; run `make audit` where the package index has its advisories.\n"
            )
            return UNKNOWN
        sys.stdout.write(
            f"{file}: {len(found) or 'no'} known {'vulnerability' if len(found) == 1 else 'vulnerabilities'}\n"
        )
        sys.stdout.writelines(f"  {line}\n" for line in found)
        code = VULNERABLE if found else code
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
