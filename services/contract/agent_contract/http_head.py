"""What makes the head of a request sound, beyond what the parser itself refuses (RFC 9112)."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import httptools

MAX_HEAD_BYTES: Final = 64 * 1024
"""The longest head that is read: a thousand times a common one, and little for each of a thousand slow clients."""

_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")
_CACHED_TARGET_BYTES: Final = 256

Headers = list[tuple[bytes, bytes]]


class Unsound(Exception):  # noqa: N818  # what a request is
    """A request that is refused below the application, with this status, and its connection with it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_head(version: str, method: str, headers: Headers) -> bool:
    """Give whether the client waits for `100 Continue` before it sends the body; names are in lower case.

    The parser has refused already: Content-Length with Transfer-Encoding, either of them twice or with odd values,
    folded lines, bare line feeds, space before a colon, control characters anywhere in the head.

    Raises:
        Unsound: a version other than 1.0 and 1.1, a Host header that is missing (1.1), doubled or no host, a
            transfer coding other than `chunked`, or CONNECT.

    """
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if version not in ("1.1", "1.0"):
        raise Unsound(400, f"cannot speak HTTP/{version}: this is HTTP/1.1")
    if hosts != 1 and (hosts or version == "1.1"):
        raise Unsound(400, f"a request has one Host header, this one has {hosts}")
    if hosts and not _HOST.fullmatch(headers[names.index(b"host")][1]):
        raise Unsound(400, "the Host header is not a host and a port")
    if method == "CONNECT":
        raise Unsound(400, "cannot CONNECT: this is no proxy")
    if b"transfer-encoding" in names:
        coding = headers[names.index(b"transfer-encoding")][1]
        if version == "1.0" or coding.lower() != b"chunked":
            raise Unsound(400, "the only transfer coding is chunked, in HTTP/1.1")
    return b"expect" in names and headers[names.index(b"expect")][1].lower() == b"100-continue"


def check_size(url: bytes, headers: Headers) -> None:
    """Refuse (431) a head that arrived in one piece and is too long; raises Unsound."""
    if len(url) + sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD_BYTES:
        raise too_long()


def too_long() -> Unsound:
    """Give the refusal of a head that is too long."""
    return Unsound(431, f"the head is longer than {MAX_HEAD_BYTES} bytes")


def parts_of(target: bytes) -> tuple[str, bytes, bytes]:
    """Give path, raw path and query of a request's target; raises Unsound, or what the parser raises."""
    if len(target) <= _CACHED_TARGET_BYTES:  # which bounds what a client can make the cache hold
        return _cached_parts_of(target)
    return _parts_of(target)


def without_upgrade(method: str, target: bytes, headers: Headers) -> bytes:
    """Give the bytes of the same head (HTTP/1.1) without its offer to speak another protocol."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            value = b", ".join(t for t in tokens if t.lower() not in (b"upgrade", b"http2-settings"))  # noqa: PLW2901  # the same header
        if name not in (b"upgrade", b"http2-settings") and (value or name != b"connection"):
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join((*lines, b"", b""))


def _parts_of(target: bytes) -> tuple[str, bytes, bytes]:
    parsed = httptools.parse_url(target)
    raw = parsed.path or b"/"
    if not raw.startswith(b"/"):
        raise Unsound(400, "the target of a request is a path")
    path = raw.decode("ascii")
    return (unquote(path) if "%" in path else path), raw, parsed.query or b""


_cached_parts_of = lru_cache(maxsize=512)(_parts_of)
