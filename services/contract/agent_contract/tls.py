"""TLS and mutual TLS of one process, both as server and as client, with files that may be replaced while it runs."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent_contract.loading import ConfigurationError

LOOK_SECONDS: Final = 1.0
"""How often the files are looked at: a renewed certificate is shown within a second, at three `stat` a second."""

log = structlog.stdlib.get_logger(__name__)


class TlsFiles(msgspec.Struct, frozen=True):
    """Paths of PEM files.

    With `client_ca` every client must show a certificate that it signed (mutual TLS), and servers that this process
    calls may be signed by it too, beside what the system trusts.
    """

    certificate: str
    key: str
    client_ca: str | None = None


def read_tls(process: Mapping[str, str], prefix: str) -> TlsFiles | None:
    """Give the files that `<prefix>_TLS_CERT`, `_KEY` and `_CLIENT_CA` name, or None where none does.

    Raises:
        ConfigurationError: one is named without the other that it needs; it names the variable that is missing.

    """
    certificate, key, client_ca = (process.get(f"{prefix}_TLS_{part}") or None for part in ("CERT", "KEY", "CLIENT_CA"))
    if certificate is None and key is None and client_ca is None:
        return None
    for path, part in ((certificate, "CERT"), (key, "KEY")):
        if path is None:
            raise ConfigurationError(f"{prefix}_TLS_{part}", f"is not set, and another of {prefix}_TLS_* is")
    return TlsFiles(str(certificate), str(key), client_ca)


def load_tls(process: Mapping[str, str], prefix: str) -> "Tls | None":
    """Give the live contexts of a process, or None where it speaks plainly; raises ConfigurationError."""
    files = read_tls(process, prefix)
    return None if files is None else Tls(files, f"{prefix}_TLS")


class Tls:
    """The two live contexts of a process. New connections show what the files hold now, old ones go on.

    A certificate authority that is added counts from then on; one that is taken out counts until the process ends,
    because a context cannot unlearn it.
    """

    def __init__(self, files: TlsFiles, prefix: str = "TLS") -> None:
        """Read the files; raises ConfigurationError when they do not do, with the variable and the path."""
        self._files = files
        self.certificate = files.certificate
        """The path of its own."""
        self._prefix = prefix
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.minimum_version = ssl.TLSVersion.TLSv1_2
        self.server.set_alpn_protocols(["http/1.1"])
        self.client = ssl.create_default_context()
        self.client.minimum_version = ssl.TLSVersion.TLSv1_2
        if files.client_ca is not None:
            self.server.verify_mode = ssl.CERT_REQUIRED
        self._trouble = ""
        self._seen = self._stamps()
        self._load()

    async def keep_fresh(self) -> None:
        """Read the files again whenever they change, for ever; what cannot be read leaves what was there."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the files again if they changed. One that is half replaced is read again at the next look."""
        try:
            seen = self._stamps()
            if seen == self._seen:
                return
            self._load()
        except ConfigurationError as error:
            if str(error) != self._trouble:  # it is looked at each second, and may stay so for days
                self._trouble = str(error)
                log.warning("certificates cannot be read again, those known before stay", error=self._trouble)
        else:
            self._seen, self._trouble = seen, ""
            log.info("certificates read again", certificate=self._files.certificate)

    def _load(self) -> None:
        """Fill the contexts. A pair that does not fit is refused before the live contexts see it."""
        files, place = self._files, f"{self._prefix}_CERT"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
            for context in (self.server, self.client):
                context.load_cert_chain(files.certificate, files.key)
            if files.client_ca is not None:
                place = f"{self._prefix}_CLIENT_CA"
                for context in (self.server, self.client):
                    context.load_verify_locations(files.client_ca)
        except OSError as error:  # ssl.SSLError is one
            named = ", ".join(path for path in (files.certificate, files.key, files.client_ca) if path)
            raise ConfigurationError(place, f"cannot use {named}: {error.strerror or error}") from error

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        files = self._files
        paths = [path for path in (files.certificate, files.key, files.client_ca) if path is not None]
        try:
            found = [Path(path).stat() for path in paths]
        except OSError as error:
            raise ConfigurationError(
                f"{self._prefix}_CERT", f"cannot read {error.filename}: {error.strerror}"
            ) from error
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)
