"""Lets libFuzzer look for bytes that a reader does not stand.

`python -m tests.security.fuzz.guided NAME SECONDS FOLDER`. It is led by the branches that the bytes take.
What it finds is left in the folder, and the exit code is not 0.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["agent_contract", "agent_manager"]):
    from tests.security.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one of them."""
    name, seconds, folder = sys.argv[1:]
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(TARGETS[name].seeds):
        (corpus / str(number)).write_bytes(seed)
    bounds = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=5", "-rss_limit_mb=1024"]
    atheris.Setup([sys.argv[0], *bounds, f"-artifact_prefix={folder}/", str(corpus)], TARGETS[name].read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
