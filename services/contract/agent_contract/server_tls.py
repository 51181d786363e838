"""TLS and mutual TLS of a server."""

import ssl

import msgspec


class TlsFiles(msgspec.Struct, frozen=True):
    """Paths of PEM files. With `client_ca` every client must show a certificate that it signed (mutual TLS)."""

    certificate: str
    key: str
    client_ca: str | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Give a server's context for these files; raises OSError (ssl.SSLError is one) when they do not do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
