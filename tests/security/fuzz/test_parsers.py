"""Bytes of strangers are read or refused, whatever they are."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security.fuzz.targets import TARGETS

ROOT = Path(__file__).parent.parent.parent.parent
HAS_BUILDS = sys.platform == "linux" and platform.machine() == "x86_64"
"""As requirements/full.in says: where there is one, it is installed."""
SECONDS = 10
"""Of each, in the full profile."""


def odd(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Give any bytes, and sound ones with any bytes in the place of some of theirs."""

    def spliced(seed: bytes, at: int, length: int, put: bytes) -> bytes:
        return seed[: at % (len(seed) + 1)] + put + seed[at % (len(seed) + 1) + length :]

    piece = st.one_of(
        st.binary(max_size=8), st.sampled_from([b"\r\n", b"null", b'"', b"{", b"-1", b"9" * 400, b"\xff"])
    )
    place = st.integers(0, 4096)
    return st.one_of(
        st.binary(max_size=200), st.builds(spliced, st.sampled_from(seeds), place, st.integers(0, 30), piece)
    )


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    """Five hundred of them raise nothing that a caller does not expect."""
    target = TARGETS[name]

    @settings(max_examples=500, deadline=None, database=None)
    @given(odd(target.seeds))
    def reads(data: bytes) -> None:
        target.read(data)

    reads()
    for seed in target.seeds:
        target.read(seed)


@pytest.mark.skipif(os.environ.get("TEST_PROFILE") != "full", reason="looks for 10 s each: TEST_PROFILE=full")
@pytest.mark.skipif(not HAS_BUILDS, reason="atheris has builds for x86-64 Linux alone")
@pytest.mark.parametrize("name", TARGETS)
def test_what_a_fuzzer_finds_is_read_or_refused(name: str, tmp_path: Path) -> None:
    """It looks for ten seconds, led by the branches that are taken."""
    command = [sys.executable, "-m", "tests.security.fuzz.guided", name, str(SECONDS), str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=SECONDS + 60)
    found = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert ran.returncode == 0, f"{found}\n{ran.stderr[-3000:]}"
