"""What the console's page is made of: files of this package, under addresses that name their content.

The version in every address is a hash of all files. So a browser may keep each of them for ever, and a page never mixes
modules of two versions: after an upgrade an old page asks for addresses that are no longer there, and is told.
"""

import gzip
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from msgspec import Struct

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served; licences and the manifest stay in the package."""
_BEST: Final = 9


class Asset(Struct, frozen=True):
    """A file as it is sent."""

    body: bytes
    gzipped: bytes
    media_type: str
    etag: str


class Console(Struct, frozen=True):
    """The page and its files."""

    version: str
    page: str
    assets: dict[str, Asset]


@cache
def console() -> Console:
    """Give the console of this installation; read once, about 70 ms."""
    root = files("agent_manager.console")
    found = dict(sorted(_read(root / "static", "")))
    digest = sha256()
    for path, body in found.items():
        digest.update(f"{path}\0{len(body)}\0".encode() + body)
    page = (root / "index.html").read_text(encoding="utf-8")
    digest.update(page.encode())
    version = digest.hexdigest()[:16]
    assets = {path: _asset(path, body) for path, body in found.items()}
    return Console(version, _page(page, version, assets), assets)


def _read(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _read(entry, f"{path}/")
        elif _suffix(path) in _TYPES:
            found.append((path, entry.read_bytes()))
    return found


def _asset(path: str, body: bytes) -> Asset:
    zipped = gzip.compress(body, _BEST, mtime=0)
    return Asset(body, zipped, _TYPES[_suffix(path)], f'"{sha256(body).hexdigest()[:32]}"')


def _page(page: str, version: str, assets: dict[str, Asset]) -> str:
    """Fill in the addresses; modules are named up front, so that no chain of imports is walked one trip at a time."""
    base = f"/console/{version}"
    styles = (f'<link rel="stylesheet" href="{base}/{escape(path)}">' for path in assets if path.endswith(".css"))
    modules = (
        f'<link rel="modulepreload" href="{base}/{escape(path)}">'
        for path in assets
        if path.endswith(".js") and path not in ("boot.js", "worker/worker.js")
    )
    return page.replace("{{links}}", "\n".join([*styles, *modules])).replace("{{base}}", base)


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]
