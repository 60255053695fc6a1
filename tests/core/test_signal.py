"""A watch: calibrated on normal data of every family, honest about warm-up and silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ruptura.core.calendar import Phase
from ruptura.core.effects import SeriesPoint
from ruptura.core.evidence import Scales
from ruptura.core.series import UNKNOWN_GAUGE, UNKNOWN_RATIO, SeriesSpec
from ruptura.core.signal import Signal, Watch
from ruptura.core.tuning import DetectionTuning
from ruptura.detectors.factory import baseline_factory

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

Chance = np.random.Generator
Data = tuple[Any, Any]


def phase(n: int, *, is_open: bool = True) -> Phase:
    day = n // PER_DAY % 7
    return Phase(max(0, day - 4), (n % PER_DAY + 0.5) * 24.0 / PER_DAY, is_open)


def new_watch(spec: SeriesSpec) -> Watch:
    return Watch("s", "c", "x", spec, baseline_factory(BUCKET)(spec), Scales(BUCKET), 0.0)


def observe(
    watch: Watch, n: int, value: float, size: float = 1.0
) -> tuple[SeriesPoint, tuple[Signal, ...]]:
    return watch.observe(n * BUCKET, value, size, phase(n), TUNING)


def shape(n: int) -> Any:
    return 1.0 + 0.8 * np.cos((np.arange(n) % PER_DAY / PER_DAY - 14 / 24) * 2 * np.pi)


def poisson(per_hour: float, *, shaped: bool = False) -> Callable[[Chance, int], Data]:
    def make(chance: Chance, n: int) -> Data:
        mean = per_hour / 12 * (shape(n) if shaped else np.ones(n))
        return chance.poisson(mean), np.ones(n)

    return make


def overdispersed(per_hour: float, dispersion: float) -> Callable[[Chance, int], Data]:
    def make(chance: Chance, n: int) -> Data:
        mean = per_hour / 12
        return chance.poisson(chance.gamma(mean / (dispersion - 1), dispersion - 1, n)), np.ones(n)

    return make


def binomial(trials: float, rate: float) -> Callable[[Chance, int], Data]:
    def make(chance: Chance, n: int) -> Data:
        sizes = np.maximum(chance.poisson(trials, n), 1)
        return chance.binomial(sizes, rate), sizes

    return make


NORMAL_DATA: dict[str, tuple[SeriesSpec, Callable[[Chance, int], Data]]] = {
    "3 an hour": (COUNT, poisson(3)),
    "300 an hour, shaped": (COUNT, poisson(300, shaped=True)),
    "30,000 an hour": (COUNT, poisson(30_000)),
    "30,000 an hour, shaped": (COUNT, poisson(30_000, shaped=True)),
    "overdispersed": (COUNT, overdispersed(3000, 5.0)),
    "ratio of 2": (UNKNOWN_RATIO, binomial(2, 0.3)),
    "ratio of 20": (UNKNOWN_RATIO, binomial(20, 0.05)),
    "ratio of a million": (UNKNOWN_RATIO, binomial(1_000_000, 0.001)),
    "normal": (UNKNOWN_GAUGE, lambda c, n: (c.normal(100, 10, n), np.ones(n))),
    "lognormal": (LOG, lambda c, n: (c.lognormal(3, 0.5, n), np.ones(n))),
    "constant": (UNKNOWN_GAUGE, lambda _, n: (np.full(n, 42.0), np.ones(n))),
}


class TestCalibration:
    @pytest.mark.parametrize("name", NORMAL_DATA)
    def test_on_normal_data_a_rare_score_is_rare(self, name: str) -> None:
        spec, make = NORMAL_DATA[name]
        scores: list[float] = []
        evidence: list[float] = []
        for seed in range(3):
            n = 21 * PER_DAY
            values, sizes = make(np.random.default_rng(seed), n)
            watch = new_watch(spec)
            for at in range(n):
                point, _ = observe(watch, at, float(values[at]), float(sizes[at]))
                if point.score is not None and point.evidence is not None:
                    scores.append(point.score)
                    evidence.append(point.evidence)
        most = 0.001 + 4.0 * (0.001 / len(scores)) ** 0.5  # four deviations of a binomial share
        assert len(scores) == 3 * 20 * PER_DAY
        assert np.mean(np.array(scores) < 0.001) <= most
        # Neighbouring sums overlap, so strange ones come in runs: the share scatters more.
        assert np.mean(np.array(evidence) < 0.001) <= 2.0 * most
        assert min(scores) > 0.0
        assert max(scores) <= 1.0

    def test_not_so_careful_that_nothing_is_ever_rare(self) -> None:
        chance = np.random.default_rng(0)
        watch = new_watch(COUNT)
        shares = [
            observe(watch, at, float(chance.poisson(25)))[0].score or 1.0
            for at in range(21 * PER_DAY)
        ]
        assert np.mean(np.array(shares) < 0.1) > 0.02


class TestPoint:
    def test_warming_up_has_no_score_and_then_ends(self) -> None:
        watch = new_watch(COUNT)
        points = [observe(watch, at, 20.0)[0] for at in range(PER_DAY + 5)]
        assert [p.score is None for p in points] == [True] * PER_DAY + [False] * 5
        assert {p.observed for p in points} == {20.0}

    def test_a_value_between_the_ends_of_the_normal_is_not_rare(self) -> None:
        # The first Saturday lies anywhere between nothing and a working day.
        watch = new_watch(COUNT)
        point = None
        for at in range(5 * PER_DAY):
            observe(watch, at, 500.0)
        for at in range(5 * PER_DAY, 5 * PER_DAY + 10):
            point, signals = observe(watch, at, 300.0)
            assert signals == ()
            assert point.score == 1.0

    def test_the_score_is_from_before_the_value_was_seen(self) -> None:
        one, other = new_watch(COUNT), new_watch(COUNT)
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
            watch = new_watch(COUNT)
            for at in range(3 * PER_DAY):
                observe(watch, at, 20.0 + at % 3)
            found = [
                s
                for at in range(3 * PER_DAY, 3 * PER_DAY + 6)
                for s in observe(watch, at, value)[1]
            ]
            assert found
            assert {(s.kind, s.direction) for s in found} == {(kind, direction)}
            assert {s.since for s in found} == {3 * PER_DAY * BUCKET}

    def test_zeros_where_some_were_due_are_a_silence(self) -> None:
        watch = new_watch(COUNT)
        chance = np.random.default_rng(1)
        for at in range(3 * PER_DAY):
            observe(watch, at, float(chance.poisson(4)))
        kinds = [
            {s.kind: s.probability for s in observe(watch, at, 0.0)[1]}
            for at in range(3 * PER_DAY, 3 * PER_DAY + 10)
        ]
        assert "silence" not in kinds[0]
        assert kinds[-1]["silence"] < 1e-6

    def test_a_trifle_is_no_signal_however_sure(self) -> None:
        watch = new_watch(UNKNOWN_RATIO)
        for at in range(3 * PER_DAY):
            observe(watch, at, 10_000.0, 1_000_000.0)
        for at in range(3 * PER_DAY, 3 * PER_DAY + 20):
            point, signals = observe(watch, at, 12_000.0, 1_000_000.0)  # a fifth more
            assert point.score is not None
            assert point.score < 0.01
            assert signals == ()


class TestMissing:
    def test_a_measurement_that_stops_is_a_silence_in_bounded_time(self) -> None:
        watch = new_watch(UNKNOWN_GAUGE)
        for at in range(2 * PER_DAY):
            observe(watch, at, 5.0)
        found = [
            watch.miss(at * BUCKET, phase(at), TUNING) for at in range(2 * PER_DAY, 2 * PER_DAY + 5)
        ]
        first = next(f for f in found if f is not None)
        assert first[0].observed is None
        assert first[1][0].kind == "silence"

    def test_a_measurement_that_often_lacks_is_not(self) -> None:
        watch = new_watch(UNKNOWN_GAUGE)
        for at in range(4 * PER_DAY):
            if at % 5 == 0:
                observe(watch, at, 5.0)
            else:
                assert watch.miss(at * BUCKET, phase(at), TUNING) is None

    def test_a_closed_service_is_not_silent(self) -> None:
        watch = new_watch(UNKNOWN_GAUGE)
        for at in range(2 * PER_DAY):
            observe(watch, at, 5.0)
        for at in range(2 * PER_DAY, 3 * PER_DAY):
            assert watch.miss(at * BUCKET, phase(at, is_open=False), TUNING) is None
