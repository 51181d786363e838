"""`kubectl_complete-agents`: what kubectl's own shell completion asks for the words behind `kubectl agents`.

kubectl gives it those words, the last one unfinished, and reads a line for each completion and then a directive, as
cobra writes them (kubectl's page "Extend kubectl with plugins").
"""

import sys
from typing import Final

from agentctl import program

_FILES: Final = ":0"
"""Complete names of files."""
_NO_FILES: Final = ":4"


def main() -> int:
    """Print what can stand in the place of the last word."""
    from click.shell_completion import ShellComplete  # noqa: PLC0415  # click is loaded once it is needed

    from agentctl.cli import cli  # noqa: PLC0415  # the same

    program.call_it(program.PLUGIN)
    words = sys.argv[1:] or [""]
    found = ShellComplete(cli, {}, program.PLUGIN, "").get_completions(words[:-1], words[-1])
    for one in found:
        if one.type == "plain":
            print(f"{one.value}\t{one.help}" if one.help else one.value)  # noqa: T201  # what kubectl reads
    print(_FILES if any(one.type in {"file", "dir"} for one in found) else _NO_FILES)  # noqa: T201  # the same
    return 0
