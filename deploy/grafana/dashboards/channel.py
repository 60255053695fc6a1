"""Why a channel is in alert: what was seen, what is normal, what adds up to the risk."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as model

from dashboards import queries
from dashboards.addresses import CHANNEL, channel_url
from dashboards.alert_table import open_alerts
from dashboards.frame import Annotation, PrometheusAnnotation, frame, values
from dashboards.panels import (
    AMBER,
    BLUE,
    GREEN,
    RED,
    bars,
    dashed_thresholds,
    lines,
    link,
    number,
    numbered,
    row,
    rows,
    setting,
    state_names,
    thresholds,
)
from ruptura.assembly.registry import series_registry

_FIRST = series_registry().measuring("opened_contacts")[-1]
"""The series that is shown before one is chosen: every channel of tickets has it."""

_SERIES = f'{queries.ONE}, series="$series"'
_LEAST = "1e-12"
"""Smaller probabilities are drawn here: the axis would else be of no use for the others."""


def dashboard() -> model.Dashboard:
    """Build it."""
    begun = (
        frame(CHANNEL, "One channel: what was seen, what is normal, and why an alert is open.")
        .with_variable(values("service", "Service", "Service.", "ruptura_channel_risk"))
        .with_variable(
            values(
                "channel",
                "Channel",
                "Channel of the service.",
                'ruptura_channel_risk{service="$service"}',
            )
        )
        .with_variable(
            values(
                "series",
                "Series",
                "What is measured: tickets.<name> is made of ticket events, others are metrics.",
                f"ruptura_series_observed{{{queries.ONE}}}",
            ).current(model.VariableOption(selected=True, text=_FIRST, value=_FIRST))
        )
        .annotation(
            Annotation(
                PrometheusAnnotation(
                    name="Alerts",
                    expr="max by (severity, kind, exception, alert_id) "
                    f"(ruptura_alert_info{{{queries.ONE}}})",
                    title="{{severity}}: {{kind}} {{exception}}",
                    text="Alert {{alert_id}}",
                    tags=("severity", "kind", "exception"),
                    color=RED,
                )
            )
        )
    )
    for panel in _now():
        begun.with_panel(panel)
    begun.with_panel(_observed()).with_panel(_strangeness()).with_panel(_risk())
    begun.with_row(row("Why")).with_panel(_explanation("en", "Why, in English"))
    begun.with_panel(_explanation("pt-BR", "Por quê, em português"))
    begun.with_panel(_contributions_now()).with_panel(_contributions())
    begun.with_panel(
        open_alerts(
            "Open alert", "The alert of this channel, and its runbook.", queries.ONE, height=4
        )
    )
    begun.with_row(row("What comes, and what else is measured"))
    begun.with_panel(_forecast()).with_panel(_all_series())
    return numbered(begun.build())


def _now() -> list[stat.Panel]:
    one = queries.ONE
    risk_colors = thresholds((None, GREEN), (0.5, AMBER), (0.95, RED))
    return [
        number("State", "State of the channel's alert.", "none", queries.state(one), width=6)
        .mappings(state_names())
        .color_mode(styles.BigValueColorMode.BACKGROUND),
        number(
            "Risk",
            "Probability that the channel is in rupture, or will be within the horizon.",
            "percentunit",
            queries.by_channel("ruptura_channel_risk", one),
            width=6,
        )
        .decimals(1)
        .thresholds(risk_colors),
        number(
            "Breach within horizon",
            "Probability that a service level objective is broken within the horizon.",
            "percentunit",
            queries.by_channel("ruptura_breach_probability", one),
            width=6,
        )
        .decimals(1)
        .no_value("no objective")
        .thresholds(risk_colors),
        number(
            "Time to breach",
            "Until a breach is as likely as not; 0: it is there.",
            "s",
            queries.by_channel("ruptura_expected_breach_seconds", one),
            width=6,
        )
        .no_value("beyond the horizon")
        .thresholds(thresholds((None, RED), (300, AMBER), (900, GREEN))),
    ]


def _observed() -> timeseries.Panel:
    drawn = {
        "lower": queries.series("lower", _SERIES),
        "upper": queries.series("upper", _SERIES),
        "expected": queries.series("expected", _SERIES),
        "observed": queries.series("observed", _SERIES),
    }
    color = "color"
    band = [
        setting("custom.lineWidth", 0),
        setting("custom.fillOpacity", 0),
        setting(color, {"mode": "fixed", "fixedColor": BLUE}),
    ]
    return (
        lines(
            "$series: observed and expected",
            "The series against its expected band, in base units: events in a bucket, seconds, "
            "ratios. Shaded: where it lies in all but the rarest buckets. Red regions: an alert "
            "was open.",
            "short",
            drawn,
            width=24,
            height=10,
        )
        .override_by_name("lower", band)
        .override_by_name(
            "upper",
            [*band, setting("custom.fillBelowTo", "lower"), setting("custom.fillOpacity", 20)],
        )
        .override_by_name(
            "expected",
            [
                setting("custom.lineStyle", {"fill": "dash", "dash": [6, 4]}),
                setting("custom.fillOpacity", 0),
                setting(color, {"mode": "fixed", "fixedColor": BLUE}),
            ],
        )
        .override_by_name(
            "observed",
            [
                setting("custom.lineWidth", 2),
                setting("custom.fillOpacity", 0),
                setting(color, {"mode": "fixed", "fixedColor": AMBER}),
            ],
        )
    )


def _strangeness() -> timeseries.Panel:
    return (
        lines(
            "$series: score and evidence",
            "How likely chance alone shows as much, on a logarithmic scale: the score for the "
            "newest bucket, the evidence added up over buckets. Low is unusual; below the dashed "
            "line (default setting) it is a signal. Drawn down to 1e-12.",
            "sci",
            {
                "score": f"clamp_min({queries.series('score', _SERIES)}, {_LEAST})",
                "evidence": f"clamp_min({queries.series('evidence', _SERIES)}, {_LEAST})",
            },
        )
        .scale_distribution(
            common.ScaleDistributionConfig().type(styles.ScaleDistribution.LOG).log(10)
        )
        .fill_opacity(0)
        .max(1)
        .thresholds(thresholds((None, RED), (0.001, "transparent")))
        .thresholds_style(dashed_thresholds())
    )


def _risk() -> timeseries.Panel:
    return (
        lines(
            "Risk",
            "Probability of a rupture. Dashed: an alert opens, and becomes critical, by the "
            "default settings.",
            "percentunit",
            {"risk": queries.by_channel("ruptura_channel_risk", queries.ONE)},
        )
        .min(0)
        .max(1)
        .thresholds(thresholds((None, "transparent"), (0.5, AMBER), (0.95, RED)))
        .thresholds_style(dashed_thresholds())
    )


def _explanation(language: str, title: str) -> table.Panel:
    selector = f'{queries.ONE}, language="{language}"'
    return (
        rows(
            title,
            "What is seen, strongest first, in words; empty without an open alert.",
            "none",
            [f"max by (text) (ruptura_alert_explanation_info{{{selector}}})"],
            {"text": "What is seen" if language == "en" else "O que se observa"},
            width=12,
            height=6,
        )
        .show_header(False)
        .cell_height(styles.TableCellHeight.LG)
        .no_value("No open alert" if language == "en" else "Nenhum alerta aberto")
        .override_by_regexp(
            ".*", [setting("custom.cellOptions", {"type": "auto", "wrapText": True})]
        )
    )


def _causes() -> str:
    return f"max by (cause) (ruptura_alert_cause_log_odds{{{queries.ONE}}})"


def _contributions_now() -> bargauge.Panel:
    return (
        bars(
            "Contributions to the risk, now",
            "Terms of the open alert's risk in natural log-odds; they add up to its logit. "
            "`prior` is what holds without evidence.",
            "none",
            {"{{cause}}": f"sort_desc({_causes()})"},
        )
        .decimals(1)
        .thresholds(thresholds((None, GREEN), (0, AMBER), (5, RED)))
        .no_value("No open alert")
    )


def _contributions() -> timeseries.Panel:
    return (
        lines(
            "Contributions over time",
            "The same terms, stacked, in natural log-odds: above 0 more likely than not.",
            "none",
            {"{{cause}}": _causes()},
        )
        .draw_style(styles.GraphDrawStyle.BARS)
        .fill_opacity(70)
        .stacking(common.StackingConfig().mode(styles.StackingMode.NORMAL).group("A"))
    )


def _forecast() -> timeseries.Panel:
    return (
        lines(
            "Forecast",
            "Probability that an objective is broken within the horizon (left), and minutes "
            "until that is as likely as not (right; absent beyond the horizon).",
            "percentunit",
            {
                "probability": queries.by_channel("ruptura_breach_probability", queries.ONE),
                "minutes to breach": queries.by_channel(
                    "ruptura_expected_breach_seconds", queries.ONE
                )
                + " / 60",
            },
            width=24,
        )
        .min(0)
        .override_by_name("probability", [setting("max", 1)])
        .override_by_name(
            "minutes to breach",
            [
                setting("unit", "m"),
                setting("custom.axisPlacement", "right"),
                setting("custom.fillOpacity", 0),
            ],
        )
    )


def _all_series() -> table.Panel:
    one = queries.ONE
    choose = channel_url("$service", "$channel", "var-series=${__data.fields.Series}")
    return (
        rows(
            "All series, strangest first",
            "Newest bucket of everything measured in this channel, in base units; a click "
            "chooses the series for the graphs above.",
            "short",
            [
                queries.series(name, one)
                for name in ("observed", "expected", "lower", "upper", "score", "evidence")
            ],
            {
                "series": "Series",
                "Value #A": "Observed",
                "Value #B": "Expected",
                "Value #C": "Lower",
                "Value #D": "Upper",
                "Value #E": "Score",
                "Value #F": "Evidence",
            },
            height=9,
        )
        .override_by_name("Series", [link("Show this series", choose)])
        .override_by_regexp("Score|Evidence", [setting("unit", "sci")])
        .sort_by([common.TableSortByFieldState().display_name("Evidence").desc(False)])
    )
