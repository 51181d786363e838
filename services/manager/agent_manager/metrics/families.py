"""Families of metrics as text that is kept: whoever's numbers change puts its lines anew, and a page joins the rest.

The series of one family stand together (both formats ask for that) and come from thousands of agents and instances,
their owners. Owners share blocks, and a block is compressed once for as long as nobody in it changes.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from agent_manager.metrics.packed import Packed, pack

Kind = Literal["counter", "gauge", "histogram", "gaugehistogram", "summary", "unknown", "info", "stateset"]

_MOST_OWNERS: Final = 64
_FULL_BYTES: Final = 256 * 1024
"""A block with more takes nobody in: compressing it takes about a millisecond, and the event loop waits for that."""
_SUFFIXES: Final[dict[Kind, tuple[str, ...]]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("", "_sum", "_count"),
    "unknown": ("",),
    "info": ("_info",),
    "stateset": ("",),
}
_IN_TEXT: Final[dict[Kind, tuple[str, str]]] = {
    "counter": ("_total", "counter"),
    "gaugehistogram": ("", "untyped"),
    "unknown": ("", "untyped"),
    "info": ("_info", "gauge"),
    "stateset": ("", "gauge"),
}
"""How Prometheus text names what it lacks or calls otherwise: suffix of the name, kind."""


class Lines(Struct, frozen=True, gc=False):
    """An owner's samples of one family, each line with its end."""

    plain: bytes
    rich: bytes
    """With exemplars, for OpenMetrics; the same object where there are none."""


class Block:
    """The lines of some owners."""

    __slots__ = ("_lines", "_packed", "_size")

    def __init__(self) -> None:
        self._lines: dict[str, Lines] = {}
        self._packed: list[Packed | None] = [None, None]
        self._size = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def is_full(self) -> bool:
        """Whether it takes no other owner in."""
        return len(self._lines) >= _MOST_OWNERS or self._size >= _FULL_BYTES

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed as it is now."""
        return self._packed[0] is not None or self._packed[1] is not None

    def put(self, owner: str, lines: Lines) -> None:
        """Take an owner's lines in the place of those before."""
        before = self._lines.get(owner)
        if before is not None and before.rich == lines.rich:
            return
        self._size += len(lines.rich) - (0 if before is None else len(before.rich))
        self._lines[owner] = lines
        self._packed = [None, None]

    def drop(self, owner: str) -> None:
        """Let an owner go."""
        self._size -= len(self._lines.pop(owner).rich)
        self._packed = [None, None]

    def text(self, *, rich: bool) -> bytes:
        """Give all lines."""
        return b"".join([lines.rich if rich else lines.plain for lines in self._lines.values()])

    def packed(self, *, rich: bool) -> Packed:
        """Give all lines compressed."""
        found = self._packed[rich]
        if found is None:
            found = self._packed[rich] = pack(self.text(rich=rich))
            if all(lines.plain is lines.rich for lines in self._lines.values()):
                self._packed = [found, found]
        return found


class Family:
    """One family: its head in both formats, and its owners' lines."""

    def __init__(self, name: str, kind: Kind, text: str) -> None:
        self.name = name
        self.kind: Kind = kind
        suffix, word = _IN_TEXT.get(kind, ("", kind))
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
        plain = f"# HELP {name}{suffix} {escaped}\n# TYPE {name}{suffix} {word}\n"
        quoted = escaped.replace('"', '\\"')
        self._heads = (plain.encode(), f"# HELP {name} {quoted}\n# TYPE {name} {kind}\n".encode())
        self._packed_heads = (pack(self._heads[0]), pack(self._heads[1]))
        self._block_of: dict[str, Block] = {}
        self._blocks: dict[Block, None] = {}
        self._open: list[Block] = []

    def __len__(self) -> int:
        return len(self._block_of)

    @property
    def series(self) -> tuple[str, ...]:
        """The names that its samples may have, and its own."""
        return sample_names(self.name, self.kind)

    def owners(self) -> list[str]:
        """Give everyone who has lines here."""
        return list(self._block_of)

    def put(self, owner: str, lines: Lines) -> None:
        """Take an owner's lines in the place of those before."""
        block = self._block_of.get(owner)
        if block is None:
            block = self._block_of[owner] = self._block_with_room()
        block.put(owner, lines)

    def drop(self, owner: str) -> None:
        """Let an owner go, if it is there."""
        block = self._block_of.pop(owner, None)
        if block is None:
            return
        block.drop(owner)
        if not block:
            del self._blocks[block]
            if block in self._open:
                self._open.remove(block)
        elif block not in self._open:
            self._open.append(block)

    def head(self, *, rich: bool) -> bytes:
        """Give HELP and TYPE."""
        return self._heads[rich]

    def packed_head(self, *, rich: bool) -> Packed:
        """Give HELP and TYPE compressed."""
        return self._packed_heads[rich]

    def blocks(self) -> Iterator[Block]:
        """Give the blocks as they are now; one that is emptied meanwhile is given empty."""
        return iter(tuple(self._blocks))

    def _block_with_room(self) -> Block:
        while self._open and self._open[-1].is_full:
            self._open.pop()
        if not self._open:
            block = Block()
            self._blocks[block] = None
            self._open.append(block)
        return self._open[-1]


def sample_names(name: str, kind: Kind) -> tuple[str, ...]:
    """Give the names that samples of a family may have."""
    return tuple(name + suffix for suffix in _SUFFIXES[kind])


def escaped(value: str) -> str:
    """Give a label's value as both formats write it between quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
