"""The few kinds of panels that the dashboards are made of.

Every expression counts right with several managers, each of which tells of every agent: `max by` comes before `sum`
around whatever all of them see. A call is one manager's, so that calls are summed at once.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import common as built
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE: Final = "$__rate_interval"
RANGE: Final = "$__range"
THIS: Final = 'agent=~"$agent"'
"""Selects what the variable `agent` says."""

Query = tuple[str, str]
"""An expression, and the legend of its series."""
Panel = timeseries.Panel | stat.Panel | table.Panel


def lines(
    title: str, text: str, *asked: Query, unit: str = "short", stacked: bool = False, width: int = 12
) -> timeseries.Panel:
    """Give a panel of lines over time, from 0 up; `stacked` where their sum means something."""
    panel = timeseries.Panel().title(title).description(text).datasource(DATASOURCE).unit(unit)
    panel.axis_soft_min(0).height(8).span(width).fill_opacity(25 if stacked else 5).show_points(
        common.VisibilityMode.NEVER
    )
    panel.stacking(built.StackingConfig().mode(common.StackingMode.NORMAL if stacked else common.StackingMode.NONE))
    legend = built.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    panel.legend(legend.placement(common.LegendPlacement.BOTTOM).calcs([]))
    panel.tooltip(built.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    for place, (expression, name) in enumerate(asked):
        panel.with_target(_query(place, expression, name).exemplar("_bucket" in expression))
    return panel


def number(title: str, text: str, asked: str, *, unit: str = "short", bad_from: float | None = None) -> stat.Panel:
    """Give a panel of one number as it is now, red from `bad_from` on."""
    panel = stat.Panel().title(title).description(text).datasource(DATASOURCE).unit(unit).height(4).span(4)
    steps = [models.Threshold(value=None, color="green")]
    if bad_from is not None:
        steps.append(models.Threshold(value=bad_from, color="red"))
    panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if unit == "short":
        panel.decimals(0)  # counts, though `increase` gives fractions
    panel.graph_mode(common.BigValueGraphMode.NONE).reduce_options(built.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.with_target(_query(0, asked).instant())


def rows(title: str, text: str, columns: Sequence[tuple[str, str, str]], *, width: int = 24) -> table.Panel:
    """Give a table as it is now: a row for each set of labels, a column of each expression, its name and its unit."""
    panel = table.Panel().title(title).description(text).datasource(DATASOURCE).height(8).span(width).filterable(True)
    for place, (expression, _, _) in enumerate(columns):
        panel.with_target(_query(place, expression).format(queries.PromQueryFormat.TABLE).instant())
    names = {f"Value #{_letter(place)}": name for place, (_, name, _) in enumerate(columns)}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    organized = {"excludeByName": {"Time": True}, "renameByName": names}
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organized))
    for _, name, unit in columns:
        panel.override_by_name(name, [models.DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def dashboard_of(
    name: str, title: str, text: str, panels: Sequence[Panel], variable: dashboard.QueryVariable | None = None
) -> dashboard.Dashboard:
    """Give a dashboard of these panels: read-only, for whatever Prometheus is chosen, with links to the others."""
    made = dashboard.Dashboard(title).uid(f"agents-{name}").description(text).tags(["agents"]).readonly()
    made.refresh("15s").time("now-1h", "now").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
    link = dashboard.DashboardLink("Agents").type(models.DashboardLinkType.DASHBOARDS).tags(["agents"])
    made.link(link.keep_time(True))
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    if variable is not None:
        made.with_variable(variable)
    for number_of_panel, panel in enumerate(panels, 1):
        made.with_panel(panel.id(number_of_panel))
    return made


def agent_variable(*, several: bool) -> dashboard.QueryVariable:
    """Give the choice of the agent, or of some."""
    variable = dashboard.QueryVariable("agent").label("Agent").datasource(DATASOURCE)
    variable.query("label_values(agent_manager_instances, agent)").sort(models.VariableSort.ALPHABETICAL_ASC)
    return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(several).include_all(several)


def _query(place: int, expression: str, name: str = "") -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(_letter(place)).expr(expression).legend_format(name)
    return query.datasource(DATASOURCE)


def _letter(place: int) -> str:
    return chr(ord("A") + place)
