"""A module that takes its time to be imported, as heavy libraries do."""

import os
import time
from pathlib import Path
from typing import Any

print("importing")
while not Path(os.environ["NOTES"]).exists():
    time.sleep(0.005)


async def echo(parameters: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters back."""
    return parameters
