"""Pictures hold what they say, whole: nothing is cut off at the edge of the file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from matplotlib.text import Text

from ruptura.evaluation.baselines import RUPTURA, baseline_makers
from ruptura.evaluation.figures import figures
from ruptura.evaluation.matching import Judged, Verdict
from ruptura.evaluation.pages import Page
from ruptura.evaluation.plots import _axes, _bars, _leads, _right_and_wrong

NAMES = [RUPTURA, *baseline_makers()]
MINUTE = 60.0


def verdict(*told: float | None, false_alarms: int = 0, is_gradual: bool = True) -> Verdict:
    """Ruptures that customers feel an hour after their onset, told at these seconds since it."""
    return Verdict(
        ruptures=[
            Judged(f"r{n}", "outage", "aurora", is_gradual, 0.0, 3600.0, at)
            for n, at in enumerate(told)
        ],
        false_alarms=[Page("aurora", "voice", float(n)) for n in range(false_alarms)],
        channel_weeks=1.0,
        quiet=0,
        on_quiet=[],
        repeated=0,
    )


def drawn(draw: Callable[[Any], None]) -> tuple[Any, list[str]]:
    """The axes and all texts of a picture, none of which is cut off or covered by the legend."""
    figure, axes = _axes(1)
    draw(axes)
    figure.canvas.draw()
    whole, taken = figure.bbox_inches, figure.get_tightbbox()
    assert whole.x0 <= taken.x0
    assert taken.x1 <= whole.x1
    assert whole.y0 <= taken.y0
    assert taken.y1 <= whole.y1
    for legend in figure.legends:
        assert not legend.get_window_extent().overlaps(axes.get_tightbbox())
    return axes, [text.get_text() for text in figure.findobj(Text)]


def steps(axes: Any, name: str) -> list[tuple[float, float]]:
    (line,) = [each for each in axes.lines if each.get_label().startswith(f"{name}: ")]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


@pytest.mark.parametrize("false_alarms", [0, 40])
def test_every_detector_has_its_place_and_its_figures(false_alarms: int) -> None:
    rows = {name: figures([verdict(0.0, None, false_alarms=false_alarms)]) for name in NAMES}
    axes, texts = drawn(partial(_right_and_wrong, figures=rows))
    assert {f"{name}: 1 of 2, {false_alarms} a week" for name in NAMES} <= set(texts)
    at = [tuple(dots.get_offsets()[0]) for dots in axes.collections]
    assert at == [(false_alarms, 0.5)] * len(NAMES)


def test_who_tells_early_who_late_and_who_misses_is_seen() -> None:
    every = {
        RUPTURA: [verdict(20 * MINUTE, 55 * MINUTE)],
        "HalfSpaceTrees": [verdict(90 * MINUTE, None)],
        "GaussianScorer": [verdict(None, None)],
    }
    axes, texts = drawn(partial(_leads, verdicts=every))
    begin, end = axes.get_xlim()
    assert steps(axes, RUPTURA) == [(begin, 0.0), (-40.0, 0.5), (-5.0, 1.0), (end, 1.0)]
    assert steps(axes, "HalfSpaceTrees") == [(begin, 0.0), (30.0, 0.5), (end, 0.5)]
    assert steps(axes, "GaussianScorer") == [(begin, 0.0), (end, 0.0)]
    early = {text for text in texts if text.endswith("early")}
    assert early == {
        "ruptura: 2 of 2 early", "HalfSpaceTrees: 0 of 2 early", "GaussianScorer: 0 of 2 early",
    }  # fmt: skip


def test_the_leads_of_all_detectors_fit_into_the_picture() -> None:
    every = {name: [verdict(n * 10 * MINUTE)] for n, name in enumerate(NAMES)}
    _, texts = drawn(partial(_leads, verdicts=every))
    assert len([text for text in texts if " of 1 early" in text]) == len(NAMES)


def test_a_picture_of_nothing_says_so() -> None:
    _, texts = drawn(partial(_right_and_wrong, figures={RUPTURA: figures([verdict()])}))
    assert "no ruptures to find" in texts
    sudden = {RUPTURA: [verdict(0.0, is_gradual=False)]}
    _, texts = drawn(partial(_leads, verdicts=sudden))
    assert "no gradual ruptures that customers felt" in texts


def test_the_names_beneath_bars_fit_into_the_picture() -> None:
    groups = {name: [1.0] * len(NAMES) for name in ("standard", "reward_low_FP", "reward_low_FN")}
    axes, texts = drawn(partial(_bars, names=NAMES, groups=groups))
    assert set(NAMES) <= set(texts)
    assert len(axes.patches) == 3 * len(NAMES)
