"""Writes the dashboards as Grafana reads them: `make dashboards`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards.agent import agent
from deploy.dashboards.drain import drain
from deploy.dashboards.fleet import fleet
from deploy.dashboards.manager import manager

HERE: Final = Path(__file__).parent


def dashboards() -> Mapping[str, str]:
    """Give the text of each file, by its name."""
    made = {"fleet": fleet(), "agent": agent(), "drain": drain(), "manager": manager()}
    return {
        f"{name}.json": json.dumps(one.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        for name, one in made.items()
    }


def main() -> None:
    """Write them beside this file."""
    for name, text in dashboards().items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
