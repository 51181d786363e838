"""What a file says, read again when it changes: secrets rotate without a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from agent_contract.loading import ConfigurationError

T = TypeVar("T")

_LOOK_SECONDS: Final = 1.0
"""How often a file is looked at: a rotated secret works within a second, at one `stat` a second."""

log = structlog.stdlib.get_logger(__name__)


class WatchedFile(Generic[T]):
    """What one file says; a change that cannot be understood leaves what was known, and says so in the log."""

    def __init__(
        self, variable: str, path: str | None, parse: Callable[[str, str], T], clock: Callable[[], float], default: T
    ) -> None:
        """Read the file that the variable names; without a path the default is what it says, for ever.

        Raises:
            ConfigurationError: it cannot be read or understood; it names the variable and the path.

        """
        self.configured = bool(path) or bool(default)
        self._variable = variable
        self._path = Path(path) if path else None
        self._parse = parse
        self._clock = clock
        self._value = default
        self._seen: tuple[int, ...] = ()
        self._look_at = clock() + _LOOK_SECONDS
        self._trouble = ""
        if self._path is not None:
            self._seen = self._stamp(self._path)
            self._value = self._read(self._path)

    def value(self) -> T:
        """Give what the file says, at most a second old; the very same object while it does not change."""
        if self._path is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_SECONDS
            self._look(self._path)
        return self._value

    def _look(self, path: Path) -> None:
        try:
            stamp = self._stamp(path)
            if stamp != self._seen:
                self._value = self._read(path)
                self._seen = stamp  # only now: what is half written is read again at the next look
                self._trouble = ""
                log.info("credentials read again", variable=self._variable)
        except ConfigurationError as error:
            if str(error) == self._trouble:
                return
            self._trouble = str(error)
            log.warning("credentials cannot be read again, those known before stay", error=str(error))

    def _stamp(self, path: Path) -> tuple[int, ...]:
        try:
            found = path.stat()
        except OSError as error:
            raise ConfigurationError(self._variable, f"cannot read {path}: {error.strerror}") from error
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self, path: Path) -> T:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(self._variable, f"cannot read {path}: {error}") from error
        return self._parse(self._variable, text)
