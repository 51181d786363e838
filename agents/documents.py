"""The documents that the agents read: the project's README.md and what lies below docs/, and nothing else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SUFFIXES = frozenset({".md", ".txt"})
MAX_BYTES = 256 * 1024  # a page written by hand is a tenth of it; what is larger is no page
PASSAGE_WORDS = 120  # what a reader takes in at a glance, and well within what the embedding model reads

HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
FENCE = re.compile(r"\s*(```|~~~)")
PIECE = re.compile(rf"(?:\S+\s*){{1,{PASSAGE_WORDS}}}")


class DocumentError(Exception):
    """A document that is not there, is not ours to give, or is no text. Its message says which."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A few paragraphs under one heading."""

    source: str  # path and heading, as a link in the repository would name it: docs/drain.md#the-order
    heading: str
    text: str


def read_document(path: str, root: Path = PROJECT) -> str:
    """Give the text of `path`, relative to `root`: README.md or a file below docs/.

    The path is resolved before it is judged, so `..`, an absolute path or a link cannot lead out of the folder.

    Raises DocumentError.
    """
    try:
        file = (root / path).resolve(strict=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DocumentError(f"cannot read {path!r}: no such document") from error
    shared = file == root.resolve() / "README.md" or file.is_relative_to(root.resolve() / "docs")
    if not shared or not file.is_file() or file.suffix not in SUFFIXES:
        raise DocumentError(f"cannot read {path!r}: only README.md and the texts below docs/ can be read")
    return read_text(file)


def read_text(file: Path) -> str:
    """Give what `file` holds, at most MAX_BYTES of UTF-8. Raises DocumentError."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(f"cannot read {file.name}: larger than {MAX_BYTES} bytes")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot read {file.name}: {error}") from error


def list_documents(folder: Path | None = None) -> list[tuple[str, Path]]:
    """Give the name and the file of each document in `folder`, by default of the project, ordered by name.

    Hidden folders are left out: a mounted ConfigMap has every file a second time in one.
    """
    root = folder or PROJECT
    found = root.rglob("*") if folder else [root / "README.md", *(root / "docs").rglob("*")]
    names = {file.relative_to(root).as_posix(): file for file in found if file.suffix in SUFFIXES and file.is_file()}
    return [(name, names[name]) for name in sorted(names) if not any(part[0] == "." for part in name.split("/"))]


def split_passages(name: str, text: str) -> Iterator[Passage]:
    """Give the passages of a markdown text in order: paragraphs of one heading, together PASSAGE_WORDS at most."""
    for heading, blocks in groupby(_blocks(text), key=lambda block: block[0]):
        source = f"{name}#{_anchor(heading)}" if heading else name
        for words in _gather([paragraph for _, paragraph in blocks]):
            yield Passage(source, heading, words)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Give each paragraph with the heading above it. A fenced block is one paragraph: a `#` in it is no heading."""
    heading, lines, fenced = "", list[str](), False
    for line in [*text.splitlines(), ""]:
        fenced ^= bool(FENCE.match(line))
        title = None if fenced else HEADING.match(line)
        if title is None and (fenced or line.strip()):
            lines.append(line)
            continue
        if lines:
            yield heading, "\n".join(lines)
            lines = []
        heading = title["title"] if title else heading
    if lines:  # a fence that nobody closed
        yield heading, "\n".join(lines)


def _gather(paragraphs: list[str]) -> Iterator[str]:
    """Join paragraphs up to PASSAGE_WORDS; one that is longer by itself is cut between words."""
    held: list[str] = []
    for piece in (piece.strip() for paragraph in paragraphs for piece in PIECE.findall(paragraph)):
        if held and len(" ".join([*held, piece]).split()) > PASSAGE_WORDS:
            yield "\n\n".join(held)
            held = []
        held.append(piece)
    if held:
        yield "\n\n".join(held)


def _anchor(heading: str) -> str:
    """Give the fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
