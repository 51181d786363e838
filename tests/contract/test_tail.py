"""The tail of a log file, and following it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from agent_contract import tail
from agent_contract.tail import GAP, MAX_LINE_BYTES, follow, read_tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give the path of a log file that holds nothing yet."""
    path = tmp_path / "planner.log"
    path.touch()
    return path


def append(path: Path, text: str) -> None:
    """Write to the end of the file, as a logger does."""
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("count", [1, 2, 99, 100, 5000])
@pytest.mark.parametrize("block", [1, 3, 64 * 1024])
def test_the_tail_is_the_last_lines_whatever_the_blocks(
    log: Path, monkeypatch: pytest.MonkeyPatch, count: int, block: int
) -> None:
    """The last N lines come in order, all of them when there are fewer."""
    monkeypatch.setattr(tail, "_BLOCK_BYTES", block)
    lines = [f"line {number} ü" for number in range(100)]
    append(log, "".join(f"{line}\n" for line in lines))
    assert read_tail(log, count) == lines[-count:]


def test_an_empty_file_has_no_lines(log: Path) -> None:
    """Nothing is not one empty line."""
    assert read_tail(log, 10) == []


def test_a_last_line_without_its_end_is_shown(log: Path) -> None:
    """What a process wrote as it died is what one looks for."""
    append(log, "one\ntwo")
    assert read_tail(log, 1) == ["two"]
    assert read_tail(log, 2) == ["one", "two"]


def test_bytes_that_are_not_text_are_replaced(log: Path) -> None:
    """A broken line does not cost the others."""
    log.write_bytes(b"\xff\xfe\r\nfine\n")
    assert read_tail(log, 5) == ["\ufffd\ufffd", "fine"]


def test_a_line_that_is_too_long_is_cut(log: Path) -> None:
    """One line cannot fill the answer."""
    append(log, "x" * (MAX_LINE_BYTES + 1) + "\nnext\n")
    long, after = read_tail(log, 2)
    assert (len(long), long[-2:], after) == (MAX_LINE_BYTES + 1, "x…", "next")


def test_the_tail_has_a_bound_in_bytes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the bound are left out whole, not cut."""
    monkeypatch.setattr(tail, "_BLOCK_BYTES", 10)
    monkeypatch.setattr(tail, "MAX_TAIL_BYTES", 25)
    append(log, "".join(f"line{number}\n" for number in range(9)))
    assert read_tail(log, 100) == ["line5", "line6", "line7", "line8"]


def test_a_big_file_is_not_read_whole(log: Path) -> None:
    """The time depends on what is asked for: 100 lines of 40 MiB in well under the time of reading them all."""
    log.write_bytes(b"x" * 199 + b"\n")
    with log.open("ab") as file:
        file.write((b"x" * 199 + b"\n") * 200_000)
    begin = time.perf_counter()
    assert len(read_tail(log, 100)) == 100
    assert time.perf_counter() - begin < 0.02


def test_a_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    """The caller makes its answer of an OSError."""
    with pytest.raises(FileNotFoundError):
        read_tail(tmp_path / "none.log", 1)
    with pytest.raises(OSError, match="directory"):
        read_tail(tmp_path, 1)


def rotate(path: Path) -> Path:
    """Give the file another name, as a rotating logger does."""
    return path.rename(path.with_suffix(".log.1"))


async def take(lines: AsyncIterator[str], count: int) -> list[str]:
    """Give the next `count` lines."""
    async with asyncio.timeout(10):
        return [await anext(lines) for _ in range(count)]


async def test_following_gives_the_tail_and_then_what_comes(log: Path) -> None:
    """New lines come once, in order, none between tail and following is lost."""
    append(log, "1\n2\n3\n")
    async with aclosing(follow(log, 2, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["2"]
        append(log, "4\n")
        assert await take(lines, 2) == ["3", "4"]
        append(log, "5\n6\n")
        assert await take(lines, 2) == ["5", "6"]


async def test_a_partial_line_waits_for_its_end(log: Path) -> None:
    """A line is given once it is whole, also when its beginning was there before the following."""
    append(log, "one\ntw")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["one"]
        following = asyncio.create_task(take(lines, 1))
        append(log, "o")
        done, _ = await asyncio.wait([following], timeout=0.05)
        assert not done
        append(log, "!\n")
        assert await following == ["two!"]


async def test_following_goes_over_a_rotation(log: Path) -> None:
    """What was written to the old file last, its unended line too, comes before what the new one holds."""
    append(log, "1\n")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["1"]
        append(log, "2\nunended")
        old = rotate(log)
        assert await take(lines, 1) == ["2"]
        append(old, " end")
        append(log, "3\n")
        assert await take(lines, 2) == ["unended end", "3"]
        old.unlink()
        append(log, "4\n")
        assert await take(lines, 1) == ["4"]


def rotate_numbered(path: Path, kept: int = 2) -> None:
    """Move the file and those before it up by one, and drop the last, as the log's own handler does."""
    for number in range(kept, 0, -1):
        older = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))


async def test_a_reader_that_lags_two_rotations_behind_misses_nothing(log: Path) -> None:
    """The file between is read too, by its new name."""
    append(log, "1\n")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["1"]
        append(log, "2\n")
        rotate_numbered(log)
        append(log, "3\n")
        rotate_numbered(log)
        append(log, "4\n")
        assert await take(lines, 3) == ["2", "3", "4"]
        append(log, "5\n")
        assert await take(lines, 1) == ["5"]


async def test_where_files_are_gone_a_line_says_so(log: Path) -> None:
    """Four rotations behind: the oldest that is kept follows, and before it stands that something may be missing."""
    append(log, "1\n")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["1"]
        for number in range(2, 6):
            rotate_numbered(log)
            append(log, f"{number}\n")
        mark, *rest = await take(lines, 4)
        assert json.loads(mark)["message"] == GAP
        assert rest == ["3", "4", "5"]


async def test_files_from_before_are_not_read_again(log: Path) -> None:
    """What was rotated away before the following began is older than what it reads, and stays unread."""
    for number in (1, 2):
        old = log.with_name(f"{log.name}.{number}")
        append(old, "old\n")
        os.utime(old, (1, 1))
    append(log, "1\n")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        assert await take(lines, 1) == ["1"]
        old.with_name(log.name).unlink()
        append(log, "2\n")
        assert await take(lines, 1) == ["2"]


async def test_following_goes_over_a_truncation(log: Path) -> None:
    """A file that shrank is read from its start."""
    append(log, "a long line that was there\n")
    async with aclosing(follow(log, 10, poll_seconds=0.001)) as lines:
        await take(lines, 1)
        os.truncate(log, 0)
        append(log, "new\n")
        assert await take(lines, 1) == ["new"]


async def test_a_followed_line_that_is_too_long_is_cut_and_the_next_is_whole(log: Path) -> None:
    """What is held for a line that does not end is bounded."""
    async with aclosing(follow(log, 1, poll_seconds=0.001)) as lines:
        following = asyncio.create_task(take(lines, 2))
        for _ in range(3):
            append(log, "x" * MAX_LINE_BYTES)
            await asyncio.sleep(0.005)  # several looks at an unended line
        append(log, "\nnext\n")
        long, after = await following
        assert (long, after) == ("x" * MAX_LINE_BYTES + "…", "next")


async def test_following_a_missing_file_raises(tmp_path: Path) -> None:
    """The caller makes its answer of an OSError."""
    with pytest.raises(FileNotFoundError):
        await anext(follow(tmp_path / "none.log", 1))
