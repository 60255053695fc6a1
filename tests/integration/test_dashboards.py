"""Every panel shows something of a real worker that has gone through a recorded rupture.

The worker begins warm, from a replay of three days; the next hours are played to it in under a
minute while a real Prometheus scrapes. Two alerts are then open. What a healthy run would leave
empty is done to it meanwhile: broken records, a record under a foreign key; late events and
duplicates are in the recording.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from ruptura.files.recording import read_envelopes, to_line, to_record
from ruptura.settings import Settings
from ruptura.tools import topics
from tests.deploy.dashboard_files import GRAFANA, ROOT, UIDS, Query, queries, variable_queries
from tests.integration.conftest import settings_for
from tests.integration.kafka_server import KafkaServer
from tests.integration.prometheus_server import PrometheusServer
from tests.integration.promql import grouped, selectors
from tests.integration.workers import WorkerProcess, ruptura, worker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FIXTURES = ROOT / "tests" / "fixtures" / "dashboards"
CONFIG = ("-c", str(FIXTURES / "ruptura.toml"))
PLAYED_FROM = datetime.fromisoformat("2026-03-05T12:00:00Z").timestamp()
PLAYED_TO = datetime.fromisoformat("2026-03-05T15:30:00Z").timestamp()
SPEED = float(os.environ.get("RUPTURA_PLAY_SPEED", "300"))  # slower for finer pictures
SECONDS = (PLAYED_TO - PLAYED_FROM) / SPEED

# What is right at nothing but zero in a sound run; all other counters have to move.
ALWAYS_ZERO = {
    "ruptura_offset_jumps_total",
    "ruptura_state_entries_refused_total",
    "ruptura_tickets_evicted_total",
    "ruptura_label_overflow_total",
    "ruptura_faust_send_errors_total",
}


class Shown(msgspec.Struct):
    """A Prometheus that has seen the rupture.

    Attributes:
        server: Prometheus.
        start, end: Of what it has seen, in Unix time.
    """

    server: PrometheusServer
    start: float
    end: float

    def samples(self, query: Query, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
        """What a query yields, as Grafana would ask it: each series with its finite values."""
        expr = substituted(query.expr, chosen, self.end - self.start)
        if query.is_range:
            data = self.server.get(
                "query_range", query=expr, start=self.start, end=self.end, step=1
            )
        else:
            data = self.server.get("query", query=expr, time=self.end)
        found = []
        for series in data["result"]:
            values = [float(value) for _, value in series.get("values", [series.get("value")])]
            if finite := [value for value in values if math.isfinite(value)]:
                found.append({"labels": series["metric"], "values": finite})
        return found

    def values(self, query: str, chosen: Mapping[str, str]) -> list[str]:
        """What a variable's query offers."""
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert found, query
        selector = substituted(found[1], chosen, self.end - self.start)
        return sorted(
            self.server.get(
                f"label/{found[2]}/values",
                **{"match[]": selector, "start": self.start, "end": self.end},
            )
        )


def substituted(expr: str, chosen: Mapping[str, str], seconds: float) -> str:
    """Fill in what Grafana would: the chosen values, and its own variables."""
    for name, value in chosen.items():
        expr = re.sub(rf"\${name}\b", lambda _, value=value: value, expr)  # type: ignore[misc]  # mypy cannot infer a default's type
    expr = expr.replace("$__rate_interval", "15s").replace("$__range", f"{int(seconds)}s")
    assert "$" not in expr, expr
    return expr


@pytest.fixture(scope="module")
def shown(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("dashboards")
    settings = settings_for(kafka.bootstrap_servers, "dashboards")
    settings = msgspec.structs.replace(
        settings,
        kafka=msgspec.structs.replace(settings.kafka, session_timeout_seconds=6.0),
        worker=msgspec.structs.replace(settings.worker, web_port=0),
    )
    assert topics.create(settings).ok
    history, played = recordings(folder, settings)
    state = folder / "state"
    ruptura(settings, "replay", *CONFIG, str(history), "--state-out", str(state))
    with worker(settings, folder / "worker.log", *CONFIG, "--state-in", str(state)) as running:
        target = running.url("").removeprefix("http://").rstrip("/")
        with PrometheusServer(folder, [target]) as server:
            # A first scrape shows counters at zero, so that `increase` sees all that follows.
            running.wait(lambda: server.ask('up{job="ruptura"} == 1'))
            start = time.time()
            disturb(settings)
            ruptura(settings, "publish", *CONFIG, str(played), "--speed", str(SPEED))
            wait_for_alerts(running, server)
            yield Shown(server, start, time.time())
        running.stop()


def recordings(folder: Path, settings: Settings) -> tuple[Path, Path]:
    """What was before, and what is played; under the names that the topics have in this test."""
    everything = folder / "all.jsonl"
    ruptura(settings, "simulate", str(FIXTURES / "story.toml"), "-o", str(everything))
    named = {
        "ruptura.tickets": settings.topics.tickets,
        "ruptura.channel-metrics": settings.topics.channel_metrics,
    }
    history, played = folder / "history.jsonl", folder / "played.jsonl"
    with history.open("wb") as before, played.open("wb") as after:
        for batch in read_envelopes(everything):
            for record in map(to_record, batch):
                if record.timestamp < PLAYED_TO:
                    file = before if record.timestamp < PLAYED_FROM else after
                    renamed = msgspec.structs.replace(record, topic=named[record.topic])
                    file.write(to_line(renamed) + b"\n")
    return history, played


def disturb(settings: Settings) -> None:
    """Send what a producer at fault would: no JSON, no channel, the key of another service.

    The service under a foreign key is one of its own: of `loja` there would be two, in two
    partitions, and the gauges would show now this, now that.
    """
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "partitioner": "murmur2_random",  # to the partition that `publish` uses for the key
        }
    )
    event = {
        "event_id": "foreign-1",
        "ticket_id": "foreign-1",
        "type": "opened",
        "occurred_at": "2026-03-05T12:00:00Z",
        "service": "loja",
        "channel": "app",
    }
    without_channel = {key: value for key, value in event.items() if key != "channel"}
    for key, value in (
        (b"loja", b"{"),
        (b"loja", json.dumps(without_channel).encode()),
        (b"loja", json.dumps(event | {"service": "outra", "channel": "chat"}).encode()),
    ):
        producer.produce(settings.topics.tickets, value, key)
    assert producer.flush(30.0) == 0


def wait_for_alerts(running: WorkerProcess, server: PrometheusServer) -> None:
    """Wait until Prometheus shows both channels in alert, and everything is committed."""
    opened = 'count(ruptura_alert_info{exception="product"}) + count(ruptura_alert_info)'
    running.wait(lambda: set(server.ask(opened).values()) == {3.0})
    lag = "sum(ruptura_faust_end_offset - ruptura_faust_committed_offset)"
    running.wait(lambda: set(server.ask(lag).values()) == {0.0})


CHOICES = {
    "ruptura-overview": {"service": ".*"},
    "ruptura-channel": {
        "service": "loja",
        "channel": "whatsapp",
        "series": "service_level_ratio",
    },
    "ruptura-pipeline": {"instance": ".*"},
    "ruptura-exceptions": {"service": "loja", "channel": "app|whatsapp"},
}
"""What is chosen in each dashboard; several values as Grafana puts them."""

of_each = pytest.mark.parametrize("uid", UIDS)


@of_each
def test_no_panel_is_empty(shown: Shown, uid: str) -> None:
    asked = list(queries(uid))
    assert asked
    empty = [query.place for query in asked if not shown.samples(query, CHOICES[uid])]
    assert empty == []


@of_each
def test_curves_have_more_than_a_few_points(shown: Shown, uid: str) -> None:
    for query in queries(uid):
        if query.is_range and "annotation" not in query.place:
            longest = max(len(found["values"]) for found in shown.samples(query, CHOICES[uid]))
            assert longest >= SECONDS / 10, query.place


@of_each
def test_counters_have_moved_so_that_a_panel_is_not_filled_with_zeros(
    shown: Shown, uid: str
) -> None:
    for query in queries(uid):
        names = {name for name, _ in selectors(query.expr)}
        if any(name.endswith("_total") for name in names) and not names & ALWAYS_ZERO:
            most = max(max(found["values"]) for found in shown.samples(query, CHOICES[uid]))
            assert most > 0.0, query.place


@of_each
def test_every_metric_and_every_label_is_known(shown: Shown, uid: str) -> None:
    asked = [(query.place, query.expr) for query in queries(uid)]
    asked += variable_queries(uid).items()
    assert {place: words for place, expr in asked if (words := unknown(shown, expr))} == {}


@pytest.mark.parametrize(
    ("expr", "word"),
    [
        ('sum(ruptura_chanel_risk{service="$service"})', "ruptura_chanel_risk"),
        ('sum(ruptura_channel_risk{servce="$service"})', "servce"),
        ("sum by (servce) (ruptura_channel_risk{})", "servce"),
        ("label_values(ruptura_chanel_risk, service)", "ruptura_chanel_risk"),
    ],
)
def test_a_slip_of_the_pen_would_be_seen(shown: Shown, expr: str, word: str) -> None:
    assert unknown(shown, expr) == {word}


def unknown(shown: Shown, expr: str) -> set[str]:
    """Metrics and labels of a query that Prometheus has never heard of."""
    named = selectors(expr)
    assert named, expr
    described = {"up", *shown.server.get("metadata")}
    strange: set[str] = set()
    there: set[str] = set()
    for metric, labels in named:
        if {metric, re.sub("_(bucket|sum|count)$", "", metric)} & described:
            known = labels_of(shown, metric)
            there |= known
            strange |= labels - known
        else:
            strange.add(metric)
    return strange | (grouped(expr) - there)


def labels_of(shown: Shown, metric: str) -> set[str]:
    """The labels that a metric has, those of the scrape too."""
    found = shown.server.get(
        "series", **{"match[]": metric, "start": shown.start, "end": shown.end}
    )
    return {"job", "instance"}.union(*found)


@of_each
def test_variables_offer_what_is_chosen(shown: Shown, uid: str) -> None:
    for name, query in variable_queries(uid).items():
        offered = shown.values(query, CHOICES[uid])
        assert offered
        wanted = CHOICES[uid][name]
        assert [value for value in offered if re.fullmatch(wanted, value)], name


def test_each_channel_and_each_series_can_be_shown(shown: Shown) -> None:
    variables = variable_queries("ruptura-channel")
    observed = [query for query in queries("ruptura-channel") if "$series" in query.expr]
    assert len(observed) >= 6
    service = {"service": "loja"}
    assert shown.values(variables["channel"], service) == ["app", "voice", "whatsapp"]
    for channel in ("app", "whatsapp"):
        chosen = service | {"channel": channel}
        offered = shown.values(variables["series"], chosen)
        assert {"tickets.opened", "tickets.exceptions_product"} <= set(offered)
        for query in observed:
            assert shown.samples(query, chosen | {"series": "tickets.opened"}), query.place


def test_the_pictures_are_drawn_from_the_same_queries(shown: Shown) -> None:
    folder = ROOT / "build" / "dashboards"
    subprocess.run(
        [
            sys.executable, str(GRAFANA / "draw.py"), shown.server.address, str(folder),
            "--start", str(shown.start), "--end", str(shown.end), "--service", "loja",
            "--channel", "app", "--series", "tickets.exceptions_product",
            "--speed", str(SPEED),
        ],
        check=True, env=os.environ | {"MPLBACKEND": "agg"},
    )  # fmt: skip
    for name in ("channel", "overview"):
        assert (folder / f"{name}.png").stat().st_size > 20_000
