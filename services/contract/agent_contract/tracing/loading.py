"""Whether tracing is configured, by OpenTelemetry's own variables, and its loading where it is."""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Final

from agent_contract.tracing.spans import OFF, Tracing

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""They hold what the collector is to be shown: a secret."""
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
_TRACE_AS: Final = "_AGENT_TRACE_AS"
"""Tells a child process of ours whose spans it records: service and instance."""

log = logging.getLogger(__name__)


def is_configured(variables: Mapping[str, str]) -> bool:
    """Tell whether spans are wanted: an endpoint or an exporter is named, and nothing says no. Empty means unset."""
    if variables.get(DISABLED, "").strip().lower() == "true":
        return False
    exporter = variables.get(EXPORTER, "").strip().lower()
    return exporter != "none" and bool(exporter or any(variables.get(name, "").strip() for name in ENDPOINTS))


def load(
    service: str, instance_id: str, variables: Mapping[str, str], *, install: str, version: str | None = None
) -> Tracing:
    """Give the tracing that the environment asks for; OFF, and no import, where it asks for none.

    What cannot be loaded is said in a warning: an agent must not be down because its telemetry is. `install` names the
    extra that brings the SDK. Takes 0.2 s and 14 MB where it is configured.
    """
    if not is_configured(variables):
        return OFF
    try:
        from agent_contract.tracing.sdk import record  # noqa: PLC0415  # only where it is configured
    except ImportError as error:
        log.warning("tracing is configured and not installed", extra={"missing": error.name, "install": install})
        return OFF
    try:
        return record(service, instance_id, variables, version)
    except Exception as error:  # noqa: BLE001  # the SDK raises what it likes for a value that it does not
        log.warning("cannot trace", extra={"reason": f"{type(error).__name__}: {error}"})
        return OFF


def for_child(service: str, instance_id: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Give what `load_in_child` needs in the environment of a child of ours, beside what agent code sees there."""
    return {_TRACE_AS: f"{service} {instance_id}", **{name: variables[name] for name in HEADERS if name in variables}}


def load_in_child(variables: MutableMapping[str, str], *, install: str) -> Tracing:
    """Give the tracing of the process that began this one, so that both record as one; OFF where that records none.

    What only the tracing may see is taken out of `variables`.
    """
    service, _, instance_id = variables.pop(_TRACE_AS, "").partition(" ")
    if not service:
        return OFF
    tracing = load(service, instance_id, variables, install=install)
    for name in HEADERS:
        variables.pop(name, None)
    return tracing
