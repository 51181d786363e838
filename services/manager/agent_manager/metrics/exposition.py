"""The page of `GET /metrics`, in the format and encoding that the scraper asks for."""

import gzip

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_QUICKEST = 1


def exposition(registry: CollectorRegistry, accept: str, accept_encoding: str) -> tuple[dict[str, str], bytes]:
    """Give the headers and the body: Prometheus text or OpenMetrics, gzipped where that is understood."""
    encoder, content_type = choose_encoder(accept)
    body = encoder(registry)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if "gzip" in [part.partition(";")[0].strip() for part in accept_encoding.lower().split(",")]:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, _QUICKEST)
    return headers, body
