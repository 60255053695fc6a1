"""A series detector: honest about warm-up and silence, and it learns what lasts.

How well it is calibrated is measured in tests/quality/test_calibration.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from ruptura.core.contracts.effects import SeriesPoint
from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.families.factory import baseline_factory
from ruptura.core.detect.judge import judge, judge_missing
from ruptura.core.detect.scan import Scales
from ruptura.core.detect.series_detector import SeriesDetector
from ruptura.core.detect.signals import Signal
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation
from ruptura.core.series.registry import UNKNOWN_GAUGE, UNKNOWN_RATIO, SeriesSpec

BUCKET = 300.0
PER_DAY = 288
TUNING = DetectionTuning(
    warm_up_seconds=86_400,
    band_probability=0.001,
    minimum_relative_effect=0.3,
    minimum_count_effect=5.0,
    signal_probability=0.001,
)
COUNT = SeriesSpec(family="count", above="surge", below="failure", silence=True)
LOG = SeriesSpec(family="gauge", scale="log", above="surge")


def phase(n: int, *, is_open: bool = True, **planned: bool) -> Phase:
    day = n // PER_DAY % 7
    return Phase(max(0, day - 4), (n % PER_DAY + 0.5) * 24.0 / PER_DAY, is_open, **planned)


def new_detector(spec: SeriesSpec) -> SeriesDetector:
    baseline = baseline_factory(BUCKET)(spec)
    return SeriesDetector("s", "c", "x", spec, baseline, Scales(BUCKET), TUNING, 0.0)


def observe(
    detector: SeriesDetector, n: int, value: float, size: float = 1.0, **planned: bool
) -> tuple[SeriesPoint, tuple[Signal, ...]]:
    return judge(detector, n * BUCKET, Observation(value, size), phase(n, **planned))


class TestPoint:
    def test_warming_up_has_no_score_and_then_ends(self) -> None:
        detector = new_detector(COUNT)
        points = [observe(detector, at, 20.0)[0] for at in range(PER_DAY + 5)]
        assert [p.score is None for p in points] == [True] * PER_DAY + [False] * 5
        assert {p.observed for p in points} == {20.0}

    def test_a_value_between_the_ends_of_the_normal_is_not_rare(self) -> None:
        # The first Saturday lies anywhere between nothing and a working day.
        detector = new_detector(COUNT)
        point = None
        for at in range(5 * PER_DAY):
            observe(detector, at, 500.0)
        for at in range(5 * PER_DAY, 5 * PER_DAY + 10):
            point, signals = observe(detector, at, 300.0)
            assert signals == ()
            assert point.score == 1.0

    def test_the_score_is_from_before_the_value_was_seen(self) -> None:
        one, other = new_detector(COUNT), new_detector(COUNT)
        for at in range(3 * PER_DAY):
            observe(one, at, 20.0)
            observe(other, at, 20.0)
        low, _ = observe(one, 3 * PER_DAY, 0.0)
        high, _ = observe(other, 3 * PER_DAY, 900.0)
        assert (low.expected, low.lower, low.upper) == (high.expected, high.lower, high.upper)
        assert high.score is not None
        assert high.score < 1e-20


class TestSignals:
    def test_a_surge_and_a_drop_speak_for_what_the_series_says(self) -> None:
        for value, kind, direction in ((80.0, "surge", "above"), (2.0, "failure", "below")):
            detector = new_detector(COUNT)
            for at in range(3 * PER_DAY):
                observe(detector, at, 20.0 + at % 3)
            found = [
                s
                for at in range(3 * PER_DAY, 3 * PER_DAY + 6)
                for s in observe(detector, at, value)[1]
            ]
            assert found
            assert {(s.kind, s.direction) for s in found} == {(kind, direction)}
            assert {s.since for s in found} == {3 * PER_DAY * BUCKET}

    def test_zeros_where_some_were_due_are_a_silence(self) -> None:
        detector = new_detector(COUNT)
        chance = np.random.default_rng(1)
        for at in range(3 * PER_DAY):
            observe(detector, at, float(chance.poisson(4)))
        kinds = [
            {s.kind: s.probability for s in observe(detector, at, 0.0)[1]}
            for at in range(3 * PER_DAY, 3 * PER_DAY + 10)
        ]
        assert "silence" not in kinds[0]
        assert kinds[-1]["silence"] < 1e-6

    def test_a_trifle_is_a_slight_signal_however_sure(self) -> None:
        detector = new_detector(UNKNOWN_RATIO)
        for at in range(3 * PER_DAY):
            observe(detector, at, 10_000.0, 1_000_000.0)
        for at in range(3 * PER_DAY, 3 * PER_DAY + 20):
            point, signals = observe(detector, at, 12_000.0, 1_000_000.0)  # a fifth more
            assert point.score is not None
            assert point.score < 0.01
            assert [signal.share < 1.0 for signal in signals] == [True]


class TestMissing:
    def test_a_measurement_that_stops_is_a_silence_in_bounded_time(self) -> None:
        detector = new_detector(UNKNOWN_GAUGE)
        for at in range(2 * PER_DAY):
            observe(detector, at, 5.0)
        found = [
            judge_missing(detector, at * BUCKET, phase(at))
            for at in range(2 * PER_DAY, 2 * PER_DAY + 5)
        ]
        first = next(f for f in found if f is not None)
        assert first[0].observed is None
        assert first[1][0].kind == "silence"

    def test_a_measurement_that_often_lacks_is_not(self) -> None:
        detector = new_detector(UNKNOWN_GAUGE)
        for at in range(4 * PER_DAY):
            if at % 5 == 0:
                observe(detector, at, 5.0)
            else:
                assert judge_missing(detector, at * BUCKET, phase(at)) is None

    def test_a_closed_service_is_not_silent(self) -> None:
        detector = new_detector(UNKNOWN_GAUGE)
        for at in range(2 * PER_DAY):
            observe(detector, at, 5.0)
        for at in range(2 * PER_DAY, 3 * PER_DAY):
            assert judge_missing(detector, at * BUCKET, phase(at, is_open=False)) is None


def mean(n: int) -> float:
    return 60.0 * (1.0 + 0.8 * math.cos((n % PER_DAY / PER_DAY - 14 / 24) * 2.0 * math.pi))


class TestNewLevel:
    @pytest.mark.parametrize(
        ("spec", "factor"), [(COUNT, 2.5), (COUNT, 0.4), (UNKNOWN_RATIO, 3.0), (LOG, 3.0)]
    )
    def test_a_permanent_change_is_told_once_and_is_normal_within_two_days(
        self, spec: SeriesSpec, factor: float
    ) -> None:
        chance = np.random.default_rng(2)
        detector = new_detector(spec)
        change = 10 * PER_DAY  # a Thursday: the next weekend and working week are learned anew too
        sure: list[int] = []
        for n in range(21 * PER_DAY):
            level = factor if n >= change else 1.0
            value, size = float(chance.poisson(mean(n) * level)), 1.0
            if spec is UNKNOWN_RATIO:
                value, size = float(chance.binomial(200, 0.02 * level)), 200.0
            if spec is LOG:
                value = mean(n) * level * chance.lognormal(0.0, 0.2)
            _, signals = observe(detector, n, value, size)
            if any(signal.probability < 1e-5 for signal in signals):
                sure.append(n - change)
        assert sure
        assert min(sure) >= 0
        assert max(sure) < 2 * PER_DAY

    def test_growth_over_weeks_is_no_deviation(self) -> None:
        chance = np.random.default_rng(2)
        detector = new_detector(COUNT)
        for n in range(28 * PER_DAY):
            grown = 1.15 ** (n / PER_DAY / 7.0)
            point, signals = observe(detector, n, float(chance.poisson(mean(n) * grown)))
            assert not [signal for signal in signals if signal.probability < 1e-5]
        assert point.expected == pytest.approx(mean(28 * PER_DAY) * grown, rel=0.1)


class TestPlanned:
    def known(self) -> SeriesDetector:
        detector = new_detector(COUNT)
        for n in range(4 * PER_DAY):
            observe(detector, n, 20.0 + n % 3)
        return detector

    def test_a_muted_window_says_nothing_and_leaves_nothing_to_say(self) -> None:
        detector, begin = self.known(), 4 * PER_DAY
        for n in range(begin, begin + 24):
            point, signals = observe(detector, n, 0.0, muted=True, learns=False)
            assert signals == ()
            assert point.score is not None
            assert point.score < 1e-6  # what was seen is still told
            assert not detector.is_fine("below")  # nor is it evidence of health
        for n in range(begin + 24, begin + 48):
            assert observe(detector, n, 20.0 + n % 3)[1] == ()

    def test_a_measurement_that_lacks_in_a_muted_window_is_no_silence(self) -> None:
        detector = new_detector(UNKNOWN_GAUGE)
        for n in range(4 * PER_DAY):
            observe(detector, n, 5.0)
        for n in range(4 * PER_DAY, 4 * PER_DAY + 50):
            assert judge_missing(detector, n * BUCKET, phase(n, muted=True)) is None

    @pytest.mark.parametrize(("muted", "learns"), [(True, False), (False, False), (True, True)])
    def test_what_is_not_to_be_learned_is_not(self, muted: bool, learns: bool) -> None:
        detector = self.known()
        before = detector.dump().baseline
        for n in range(4 * PER_DAY, 4 * PER_DAY + 24):
            observe(detector, n, 90.0, muted=muted, learns=learns)
        assert (detector.dump().baseline != before) is learns

    def test_learning_may_stop_without_muting(self) -> None:
        detector = self.known()
        found = [observe(detector, 4 * PER_DAY + n, 90.0, learns=False)[1] for n in range(6)]
        assert found[-1]


class TestCommemorativeDates:
    def test_more_demand_is_normal_but_no_less_and_not_without_bounds(self) -> None:
        for value, told in ((40.0, False), (55.0, False), (150.0, True), (2.0, True)):
            detector = TestPlanned().known()
            begin = 4 * PER_DAY
            found = [observe(detector, begin + n, value, commemorative=True)[1] for n in range(12)]
            assert any(found) is told, value

    def test_supply_has_no_excuse(self) -> None:
        detector = new_detector(UNKNOWN_RATIO)
        for n in range(4 * PER_DAY):
            observe(detector, n, 10.0, 1000.0)
        begin = 4 * PER_DAY
        found = [
            observe(detector, begin + n, 25.0, 1000.0, commemorative=True)[1] for n in range(12)
        ]
        assert any(found)

    def test_the_day_teaches_nothing_of_ordinary_ones(self) -> None:
        detector = TestPlanned().known()
        before = detector.dump().baseline
        for n in range(4 * PER_DAY, 5 * PER_DAY):
            observe(detector, n, 50.0, commemorative=True)
        assert detector.dump().baseline == before
