"""The API as a page for people, with every asset from here."""

from typing import Final

from agent_contract.problems import Problem
from litestar import Response
from litestar.params import FromPath
from openapi_ui_bundles import swagger_ui

from agent_manager.handlers.requests import AnyRequest

_TYPES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_HTML: Final = "text/html"
_SCHEMA_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page sets styles of single elements by itself; its scripts all come from here."""
_SCHEMA: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Agent manager: API</title>
<link rel="icon" type="image/png" href="/schema/assets/favicon-32x32.png">
<link rel="stylesheet" href="/schema/assets/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/schema/assets/swagger-ui-bundle.js"></script>
<script src="/schema/assets/start.js"></script>
</body>
</html>
"""
_START: Final = (
    'SwaggerUIBundle({url: "/schema/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});\n'
)


async def schema_page() -> Response[str]:
    return _page(_SCHEMA)


async def openapi(request: AnyRequest) -> Response[bytes]:
    return Response(request.app.state.openapi(), media_type="application/json")


async def asset(name: FromPath[str]) -> Response[bytes]:
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    if name == "start.js":
        return Response(_START.encode(), media_type="text/javascript", headers=headers)
    if name not in _TYPES:
        raise Problem("not-found", f"there is no asset {name[:100]!r}")
    return Response((swagger_ui.static_path / name).read_bytes(), media_type=_TYPES[name], headers=headers)


def _page(html: str) -> Response[str]:
    headers = {
        "Content-Security-Policy": _SCHEMA_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(html, media_type=_HTML, headers=headers)
