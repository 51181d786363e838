"""When tracing is loaded, by OpenTelemetry's own variables; what is said when it cannot be."""

import logging
import sys

import pytest
from agent_contract.tracing import OFF, load
from agent_contract.tracing.loading import for_child, is_configured, load_in_child

URL = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": URL}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True),
    ],
)
def test_tracing_is_configured_by_an_endpoint_or_an_exporter(variables: dict[str, str], *, expected: bool) -> None:
    """Unless it is switched off; an empty variable is none, as compose files have them."""
    assert is_configured(variables) is expected


def test_where_it_is_not_installed_a_warning_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And work goes on: an agent must not be down because its telemetry is."""
    monkeypatch.delitem(sys.modules, "agent_contract.tracing.sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with caplog.at_level(logging.WARNING):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": URL}
        assert load("planner", "1", variables, install="agent-adapter[otel]") is OFF
    (line,) = caplog.records
    assert (line.message, line.__dict__["install"]) == (
        "tracing is configured and not installed",
        "agent-adapter[otel]",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "LookupError: exporter 'otlp_proto_grpc' is not installed"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "LookupError: exporter 'jaeger' is not installed"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "ValueError: max_queue_size must be a positive integer."),
    ],
)
def test_what_it_does_not_take_is_a_warning_too(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK raises for some values; whoever set them reads why nothing arrives."""
    monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, "agent_contract"):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": URL, name: value}
        assert load("planner", "1", variables, install="agent-adapter[otel]") is OFF
    (line,) = caplog.records
    assert (line.message, line.__dict__["reason"][: len(said)]) == ("cannot trace", said)


def test_a_child_traces_only_where_its_parent_does_and_sees_no_secret() -> None:
    """What it is handed is taken out of its environment before agent code is loaded."""
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=canary", "OTHER": "1"}
    handed = for_child("planner", "1", variables)
    assert handed["OTEL_EXPORTER_OTLP_HEADERS"] == "x-key=canary"
    environment = {"OTHER": "1", **handed}
    assert load_in_child(environment, install="agent-adapter[otel]") is OFF  # no endpoint
    assert environment == {"OTHER": "1"}
