"""Requests whose end two readers could see in two places, each with a whole second request in what one would skip."""

HEAD = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
FRAMINGS = {
    "length, then chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 400\r\n\r\n{}",
    "the same length twice": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": b"Content-Length: +2\r\n\r\n{}",
    "a negative length": b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a space": b"Content-Length: 2 0\r\n\r\n{}",
    "a length with a point": b"Content-Length: 2.0\r\n\r\n{}",
    "an underscore in a length": b"Content-Length: 1_0\r\n\r\n{}",
    "a length that overflows": b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "an empty length": b"Content-Length:\r\n\r\n{}",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another spelling": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a vertical tab before the coding": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a space before the name": b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a name": b"Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a bare CR": b"X: a\rContent-Length: 2\r\n\r\n{}",
    "a bare LF": b"X: a\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"Content-Length: 2\n\n{}",
    "a second host": b"Host: y\r\nContent-Length: 2\r\n\r\n{}",
    "a chunk size in 0x": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a signed chunk size": b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size that overflows": b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "an empty chunk size": b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than said": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk size behind a bare LF": b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "a bare LF in an extension": b"Transfer-Encoding: chunked\r\n\r\n2;a\n{}\r\n0\r\n\r\n",
}
"""What follows the first lines of a POST."""

LINES = {
    "version 0.9": b"POST %b\r\n\r\n",
    "version 1.0, chunked": b"POST %b HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "version 2": b"POST %b HTTP/2.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"POST %b HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "a method in lower case": b"post %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: localhost%.0b\r\n\r\n",
    "the start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM%.0b\r\n\r\n",
    "a tab in the line": b"POST\t%b\tHTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in the target": b"POST %b\0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
}
"""Whole requests, with a place for the path."""


def forms(path: bytes) -> dict[str, bytes]:
    """Give each form as a request to `path`."""
    return {name: HEAD % path + rest for name, rest in FRAMINGS.items()} | {
        name: form % path for name, form in LINES.items()
    }
