"""The documents: what can be read, what cannot, and how a page becomes passages."""

import os
from pathlib import Path

import pytest

from agents import documents
from agents.documents import DocumentError, list_documents, read_document, split_passages


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project with a page, and a secret beside its docs."""
    root = tmp_path / "project"
    (root / "docs" / "adr").mkdir(parents=True)
    (root / "README.md").write_text("# Project\n")
    (root / "docs" / "adr" / "0001.md").write_text("# One\n")
    (root / "docs" / "picture.png").write_bytes(b"\x89PNG")
    (root / "secret.md").write_text("token\n")
    (root / "docs-private").mkdir()
    (root / "docs-private" / "notes.md").write_text("token\n")
    (tmp_path / "outside.md").write_text("token\n")
    return root


@pytest.mark.parametrize("path", ["README.md", "docs/adr/0001.md", "docs/../README.md", "./docs/adr/../adr/0001.md"])
def test_the_readme_and_what_lies_below_docs_can_be_read(project: Path, path: str) -> None:
    """However the path is spelt."""
    assert read_document(path, project).startswith("# ")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "docs",
        "secret.md",
        "docs/../secret.md",
        "docs/../../outside.md",
        "../outside.md",
        "docs-private/notes.md",
        "/etc/passwd",
        "docs/none.md",
        "docs/picture.png",
        "README.md/../secret.md",
        "docs/a\0.md",
        "x" * 5000,
    ],
)
def test_nothing_else_can_be_read(project: Path, path: str) -> None:
    """No spelling of a path leads out of the docs."""
    with pytest.raises(DocumentError, match="cannot read"):
        read_document(path, project)


def test_a_link_out_of_the_docs_is_not_followed(project: Path) -> None:
    """The file that a link leads to is what is judged: also for a folder, and for the README itself."""
    (project / "docs" / "link.md").symlink_to(project.parent / "outside.md")
    (project / "docs" / "up").symlink_to(project.parent)
    (project / "README.md").unlink()
    (project / "README.md").symlink_to(project / "secret.md")
    for path in ("docs/link.md", "docs/up/outside.md", "README.md"):
        with pytest.raises(DocumentError, match=r"only README\.md and the texts below docs/"):
            read_document(path, project)


def test_a_pipe_is_not_read(project: Path) -> None:
    """Opening one would block for ever."""
    os.mkfifo(project / "docs" / "pipe.md")
    with pytest.raises(DocumentError):
        read_document("docs/pipe.md", project)


def test_what_is_too_large_or_no_text_is_refused(project: Path) -> None:
    """The bound is on what is read, not on what the file system says."""
    (project / "docs" / "exact.md").write_bytes(b"x" * documents.MAX_BYTES)
    (project / "docs" / "large.md").write_bytes(b"x" * (documents.MAX_BYTES + 1))
    (project / "docs" / "bytes.md").write_bytes(b"\xff\xfe")
    assert len(read_document("docs/exact.md", project)) == documents.MAX_BYTES
    with pytest.raises(DocumentError, match=r"cannot read large.md: larger than 262144 bytes"):
        read_document("docs/large.md", project)
    with pytest.raises(DocumentError, match=r"cannot read bytes.md: .*codec"):
        read_document("docs/bytes.md", project)


def test_the_project_s_own_documents_are_the_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md and the texts below docs/, by name."""
    monkeypatch.setattr(documents, "PROJECT", project)
    assert [name for name, _ in list_documents()] == ["README.md", "docs/adr/0001.md"]


def test_a_named_folder_is_listed_whole_but_for_what_is_hidden(tmp_path: Path) -> None:
    """A mounted ConfigMap has each file as a link into a hidden folder: it counts once."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "page.md").write_text("# Page\n")
    (tmp_path / "page.md").symlink_to(tmp_path / "..data" / "page.md")
    assert [name for name, _ in list_documents(tmp_path)] == ["page.md"]


def test_a_page_becomes_passages_by_heading() -> None:
    """A passage knows where it stands; a comment in a fenced block is no heading."""
    text = (
        "Before.\n\n# The First, Heading!\n\nOne.\n\nTwo.\n\n```sh\n# no heading\n\nrun\n```\n\n## Second ##\nThree.\n"
    )
    passages = [(passage.source, passage.heading, passage.text) for passage in split_passages("a.md", text)]
    assert passages == [
        ("a.md", "", "Before."),
        ("a.md#the-first-heading", "The First, Heading!", "One.\n\nTwo.\n\n```sh\n# no heading\n\nrun\n```"),
        ("a.md#second", "Second", "Three."),
    ]


def test_passages_are_short_and_lose_no_word() -> None:
    """Paragraphs are joined up to 120 words, and one that is longer is cut between words."""
    text = "\n\n".join(" ".join(f"w{n}-{i}" for i in range(n)) for n in (50, 60, 50, 300, 5))
    passages = [passage.text for passage in split_passages("a.md", text)]
    assert [len(passage.split()) for passage in passages] == [110, 50, 120, 120, 65]
    assert " ".join(passages).split() == text.split()


def test_a_fence_that_nobody_closed_is_still_a_passage() -> None:
    """What follows belongs to it."""
    assert [passage.text for passage in split_passages("a.md", "```\n# x\n\ny")] == ["```\n# x\n\ny"]
