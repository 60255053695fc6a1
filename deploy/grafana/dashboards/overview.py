"""Where to look first: the state and the risk of every channel."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import dashboard as model

from dashboards import queries
from dashboards.addresses import JOB, OVERVIEW, channel_url
from dashboards.alert_table import open_alerts
from dashboards.frame import frame, runbook_link, several, values
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    colored_cell,
    dashed_thresholds,
    lines,
    link,
    number,
    numbered,
    row,
    rows,
    setting,
    state_names,
    states,
    thresholds,
)

_OF_SERVICE = 'service=~"$service"'
_MOST = 10


def dashboard() -> model.Dashboard:
    """Build it."""
    risk = queries.by_channel("ruptura_channel_risk", _OF_SERVICE)
    peaks = f"max by (service, channel) (max_over_time(ruptura_channel_risk{{{_OF_SERVICE}}}"
    begun = (
        frame(OVERVIEW, "Every channel's state and risk at a glance, and the open alerts.")
        .with_variable(
            several(
                values("service", "Service", "Services to show.", "ruptura_channel_risk"),
            )
        )
        .link(runbook_link("RupturaCritical"))
        .with_panel(
            number(
                "Critical",
                "Channels in which a rupture is here.",
                "short",
                queries.in_state("critical", _OF_SERVICE),
            ).thresholds(thresholds((None, GREEN), (1, RED)))
        )
        .with_panel(
            number(
                "Warning",
                "Channels in which a rupture is coming.",
                "short",
                queries.in_state("warning", _OF_SERVICE),
            ).thresholds(thresholds((None, GREEN), (1, AMBER)))
        )
        .with_panel(
            number(
                "Normal",
                "Channels without an alert.",
                "short",
                queries.in_state("normal", _OF_SERVICE),
            ).thresholds(thresholds((None, GREEN)))
        )
        .with_panel(
            number(
                "Warming up",
                "Channels whose normal is still being learned: nothing is judged in them yet.",
                "short",
                queries.in_state("warming_up", _OF_SERVICE),
            ).thresholds(thresholds((None, GREEN), (1, BLUE)))
        )
        .with_panel(
            number(
                "Incidents",
                "Open incidents; alerts with one cause share one.",
                "short",
                f"count(count by (incident_id) (ruptura_alert_info{{{_OF_SERVICE}}})) or vector(0)",
            ).thresholds(thresholds((None, GREEN), (1, AMBER)))
        )
        .with_panel(
            number(
                "Workers",
                "Workers that Prometheus reaches. None: nothing is monitored.",
                "short",
                f'sum(up{{job="{JOB}"}})',
            ).thresholds(thresholds((None, RED), (1, GREEN)))
        )
        .with_row(row("Now"))
        .with_panel(
            open_alerts(
                "Open alerts",
                "Alerts as they stand: a click on the channel shows why, on the runbook what to "
                "do. Role `joined`: part of an incident that began elsewhere.",
                _OF_SERVICE,
            )
        )
        .with_panel(_channels(risk))
        .with_row(row("Over time"))
        .with_panel(
            states(
                "State of the channels",
                "The state of each channel over time, 20 to a page.",
                "{{service}} / {{channel}}",
                queries.state(_OF_SERVICE),
            )
        )
        .with_panel(
            lines(
                f"Risk of the {_MOST} channels most at risk",
                "Probability of a rupture, of the channels whose risk was highest in the time "
                "shown. Dashed: an alert opens, and becomes critical, by the default settings.",
                "percentunit",
                {
                    "{{service}} / {{channel}}": f"{risk} and on (service, channel) "
                    f"topk({_MOST}, {peaks}[$__range] @ end())))"
                },
                width=24,
                height=9,
            )
            .min(0)
            .max(1)
            .thresholds(thresholds((None, "transparent"), (0.5, AMBER), (0.95, RED)))
            .thresholds_style(dashed_thresholds())
        )
    )
    return numbered(begun.build())


def _channels(risk: str) -> table.Panel:
    gauge = setting("custom.cellOptions", {"type": "gauge", "mode": "gradient"})
    steps = {
        "mode": "absolute",
        "steps": [
            {"value": None, "color": GREEN},
            {"value": 0.5, "color": AMBER},
            {"value": 0.95, "color": RED},
        ],
    }
    share = [
        setting("unit", "percentunit"),
        setting("min", 0),
        setting("max", 1),
        setting("decimals", 1),
        setting("thresholds", steps),
    ]
    return (
        rows(
            "Channels",
            "Every channel, most at risk first: its state, the probability of a rupture, the "
            "probability that an objective is broken within the horizon, and the time until that "
            "is as likely as not (empty where nothing is forecast).",
            "none",
            [
                queries.state(_OF_SERVICE),
                risk,
                queries.by_channel("ruptura_breach_probability", _OF_SERVICE),
                queries.by_channel("ruptura_expected_breach_seconds", _OF_SERVICE),
            ],
            {
                "service": "Service",
                "channel": "Channel",
                "Value #A": "State",
                "Value #B": "Risk",
                "Value #C": "Breach within horizon",
                "Value #D": "Time to breach",
            },
            height=9,
        )
        .override_by_name("State", [setting("mappings", state_names()), colored_cell()])
        .override_by_name("Risk", [*share, gauge])
        .override_by_name("Breach within horizon", [*share, gauge])
        .override_by_name("Time to breach", [setting("unit", "s")])
        .override_by_regexp(
            "Service|Channel",
            [
                link(
                    "Open the channel",
                    channel_url("${__data.fields.Service}", "${__data.fields.Channel}"),
                )
            ],
        )
        .sort_by([common.TableSortByFieldState().display_name("Risk").desc(True)])
    )
