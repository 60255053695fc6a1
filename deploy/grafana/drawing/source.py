"""What Prometheus answers to the queries of a panel, as Grafana would ask them."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Curve:
    """One series of an answer.

    Attributes:
        ref: Letter of the query.
        legend: Its name in the panel.
        labels: Of the series.
        times: Seconds since the Unix epoch.
        values: One for each time.
    """

    ref: str
    legend: str
    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Source:
    """A Prometheus and what is chosen in the dashboard.

    Attributes:
        address: Of its web server, as `http://127.0.0.1:9090`.
        start, end: Of the time shown, in seconds since the Unix epoch.
        chosen: Values of the variables.
    """

    address: str
    start: float
    end: float
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def step(self) -> float:
        """Seconds between two points of a curve."""
        return max(1.0, (self.end - self.start) / 600.0)

    def substituted(self, text: str) -> str:
        """Fill in variables, Grafana's own too."""
        for name, value in self.chosen.items():
            text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value.replace("\\", r"\\"), text)
        seconds = int(self.end - self.start)
        interval = max(15, int(4 * self.step))
        return text.replace("$__rate_interval", f"{interval}s").replace("$__range", f"{seconds}s")

    def curves(self, targets: Sequence[Mapping[str, Any]]) -> list[Curve]:
        """Ask the queries of a panel.

        Raises:
            OSError: Prometheus does not answer, or refuses a query.
        """
        found = []
        for target in targets:
            for series in self._ask(self.substituted(target["expr"]), bool(target.get("range"))):
                points = series.get("values") or [series["value"]]
                labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
                legend = re.sub(
                    r"\{\{(\w+)\}\}",
                    lambda name, labels=labels: labels.get(name[1], ""),  # type: ignore[misc]  # mypy cannot infer a default's type
                    target.get("legendFormat", ""),
                )
                times, values = zip(
                    *((float(at), float(value)) for at, value in points), strict=True
                )
                found.append(Curve(target["refId"], legend, labels, times, values))
        return found

    def _ask(self, expr: str, is_range: bool) -> list[dict[str, Any]]:
        times = (
            {"start": self.start, "end": self.end, "step": self.step}
            if is_range
            else {"time": self.end}
        )
        query = urllib.parse.urlencode({"query": expr, **times})
        kind = "query_range" if is_range else "query"
        url = f"{self.address}/api/v1/{kind}?{query}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - an address that the user gave
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result
