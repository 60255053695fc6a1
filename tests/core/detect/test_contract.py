"""What every detector and every estimator below it keeps, whatever its family.

Values only: predicting and scoring change nothing, a state that comes back goes on alike, memory
is bounded, scores are probabilities.
"""

from __future__ import annotations

import math
import struct
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruptura.core.contracts.tuning import DetectionTuning
from ruptura.core.detect.families.factory import baseline_factory
from ruptura.core.detect.judge import judge
from ruptura.core.detect.protocol import Baseline, Detector, Prediction, Score
from ruptura.core.detect.scan import Scales
from ruptura.core.detect.series_detector import SeriesDetector, SeriesDetectorState
from ruptura.core.ingest.calendar import Phase
from ruptura.core.series.observations import Observation
from ruptura.core.series.registry import SeriesSpec

SPECS = {
    "count": SeriesSpec(family="count", above="surge", below="failure", silence=True),
    "ratio": SeriesSpec(family="ratio", above="failure", below="failure"),
    "gauge": SeriesSpec(family="gauge", above="failure", below="failure"),
    "log gauge": SeriesSpec(family="gauge", scale="log", above="surge"),
}
BUCKETS = (1.0, 60.0, 3600.0, 86_400.0)
TUNING = DetectionTuning(
    warm_up_seconds=3600,
    band_probability=0.001,
    minimum_relative_effect=0.3,
    minimum_count_effect=5.0,
    signal_probability=0.001,
)

every_family = pytest.mark.parametrize("name", SPECS)


def lesson(name: str, chance: Random) -> tuple[float, float]:
    if name == "ratio":
        size = float(chance.choice((1, 20, 5000)))
        return float(round(size * chance.random() * 0.1)), size
    if name == "count":
        return float(chance.choice((0, 1, 3, 40))), 1.0
    return chance.gauss(10.0, 2.0), 1.0


def phase(n: int, bucket: float = 60.0) -> Phase:
    at = (n + 0.5) * bucket
    return Phase(int(at // 86_400) % 4, at % 86_400 / 3600.0, int(at // 3600) % 3 > 0)


def through_bytes(state: Any, kind: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=kind)


class TestBaseline:
    """Of the estimators of what is normal."""

    def model(self, name: str, bucket: float = 60.0) -> Baseline:
        return baseline_factory(bucket)(SPECS[name])

    def learn(self, subject: Baseline, value: float, size: float, at: Phase, weight: float) -> None:
        subject.learn_one(value, size, subject.expect_one(at), weight)

    def teach(
        self, subject: Baseline, name: str, count: int, *, seed: int = 0, bucket: float = 60.0
    ) -> None:
        chance = Random(seed)
        for n in range(count):
            value, size = lesson(name, chance)
            self.learn(subject, value, size, phase(n, bucket), chance.choice((1.0, 0.3, 0.05)))

    @every_family
    @pytest.mark.parametrize("taught", [0, 1, 2, 3000])
    def test_bytes_out_and_in_again_change_nothing(self, name: str, taught: int) -> None:
        subject, copy = self.model(name), self.model(name)
        self.teach(subject, name, taught)
        copy.load(through_bytes(subject.dump(), subject.STATE))
        assert copy.dump() == subject.dump()
        for n in range(200):
            assert copy.expect_one(phase(n)) == subject.expect_one(phase(n))
            self.learn(subject, 3.0, 4.0, phase(n), 0.5)
            self.learn(copy, 3.0, 4.0, phase(n), 0.5)
        assert copy.dump() == subject.dump()

    @every_family
    @pytest.mark.parametrize("bucket", BUCKETS)
    def test_expectations_are_finite_from_the_first_moment_on(
        self, name: str, bucket: float
    ) -> None:
        subject = self.model(name, bucket)
        for taught in (0, 1, 1, 500):
            self.teach(subject, name, taught, seed=taught, bucket=bucket)
            for n in range(0, 400, 7):
                expected = subject.expect_one(phase(n, bucket))
                error, freedom = expected.standard_error, expected.degrees_of_freedom
                numbers = (expected.mean, expected.deviation, error, freedom)
                assert all(math.isfinite(number) for number in numbers)
                assert expected.low <= expected.mean <= expected.high
                assert error >= 0.0
                if name.endswith("gauge"):
                    assert expected.deviation > 0.0
                    assert freedom >= 1.0
                else:
                    assert expected.mean >= 0.0
                if name == "ratio":
                    assert expected.mean <= 1.0

    @every_family
    @pytest.mark.parametrize("value", [1e15, 5e-324, 1e-300, 0.0])
    def test_extremes_leave_the_expectation_finite(self, name: str, value: float) -> None:
        subject = self.model(name)
        for n in range(300):
            self.learn(subject, value if n % 2 else 1.0, max(value, 1.0), phase(n), 1.0)
            expected = subject.expect_one(phase(n))
            assert math.isfinite(expected.mean)
            assert math.isfinite(expected.high)
            assert math.isfinite(expected.standard_error)

    @every_family
    def test_the_same_lessons_make_the_same_model(self, name: str) -> None:
        one, other = self.model(name), self.model(name)
        self.teach(one, name, 1000, seed=3)
        self.teach(other, name, 1000, seed=3)
        assert one.dump() == other.dump()

    @every_family
    def test_expecting_teaches_nothing(self, name: str) -> None:
        subject = self.model(name)
        self.teach(subject, name, 500)
        before = subject.dump()
        assert subject.expect_one(phase(7)) == subject.expect_one(phase(7))
        assert subject.dump() == before

    @every_family
    def test_a_small_weight_teaches_less_but_never_nothing(self, name: str) -> None:
        moved = []
        for weight in (1.0, 0.3, 0.05):
            subject = self.model(name)
            for n in range(10_000):
                self.learn(subject, 5.0, 10.0, phase(n), 1.0)
            before = subject.expect_one(phase(0)).mean
            for n in range(600):
                self.learn(subject, 9.0, 10.0, phase(n), weight)
            moved.append(abs(subject.expect_one(phase(0)).mean - before))
        assert moved[0] > moved[1] > moved[2] > 0.0

    @every_family
    def test_a_new_level_becomes_normal(self, name: str) -> None:
        subject = self.model(name, 3600.0)
        size = 10.0 if name == "ratio" else 1.0
        for n in range(60 * 24):
            self.learn(subject, 2.0 if n < 30 * 24 else 8.0, size, phase(n, 3600.0), 1.0)
        expected = subject.expect_one(phase(60 * 24, 3600.0)).mean
        target = 0.8 if name == "ratio" else 8.0
        assert expected == pytest.approx(target, rel=0.15)

    @every_family
    def test_what_is_not_finite_is_refused_in_these_words(self, name: str) -> None:
        subject = self.model(name)
        self.teach(subject, name, 50)
        good = subject.dump()
        for field in good.__struct_fields__:
            for poison in (math.nan, math.inf, -math.inf):
                fresh = self.model(name)
                blank = fresh.dump()
                with pytest.raises(ValueError, match="not finite"):
                    fresh.load(poisoned(good, field, poison))
                assert fresh.dump() == blank

    @every_family
    def test_a_state_that_could_not_be_one_is_refused(self, name: str) -> None:
        subject = self.model(name)
        self.teach(subject, name, 50)
        good = subject.dump()
        bad = [msgspec.structs.replace(good, **{good.__struct_fields__[0]: -1.0})]
        if name != "ratio":
            profile: bytes = good.profile  # type: ignore[attr-defined] # of those with a week
            bad += [
                msgspec.structs.replace(good, profile=other)
                for other in (b"", profile[:-1], profile[:-8], profile + profile * 5)
            ]
        for state in bad:
            fresh = self.model(name)
            blank = fresh.dump()
            with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
                fresh.load(state)
            assert fresh.dump() == blank


def poisoned(state: msgspec.Struct, field: str, poison: float) -> msgspec.Struct:
    """The state with a number, or the last one of a vector, that is not finite."""
    value = getattr(state, field)
    if isinstance(value, bytes):
        return msgspec.structs.replace(state, **{field: value[:-8] + struct.pack("<d", poison)})
    return msgspec.structs.replace(state, **{field: poison})


def new_detector(name: str) -> SeriesDetector:
    spec = SPECS[name]
    return SeriesDetector(
        "s", "c", "x", spec, baseline_factory(60.0)(spec), Scales(60.0), TUNING, 0.0
    )


def predict(subject: Detector, n: int, **planned: bool) -> Prediction:
    at = phase(n)
    return subject.predict(n * 60.0, Phase(at.day_type, at.hour, at.open, **planned))


def observation(name: str, chance: Random) -> Observation:
    value, size = lesson(name, chance)
    return Observation(value * (chance.random() < 0.98 or 30.0), size)


def teach(subject: Detector, name: str, buckets: range, seed: int = 0) -> None:
    chance = Random(seed)
    for n in buckets:
        subject.learn(predict(subject, n), observation(name, chance), chance.choice((1.0, 0.3)))


def warm(name: str, buckets: int = 300) -> SeriesDetector:
    subject = new_detector(name)
    teach(subject, name, range(buckets))
    return subject


def state(subject: SeriesDetector) -> bytes:
    return msgspec.msgpack.encode(subject.dump())


class TestDetector:
    """Of what the engine judges series with."""

    @every_family
    @given(
        seed=st.integers(0, 1000),
        steps=st.lists(
            st.tuples(
                st.integers(0, 2),  # predictions more than needed
                st.integers(0, 2),  # scores more than needed
                st.sampled_from((0.0, 0.05, 1.0, 4.0)),
                st.booleans(),  # whether the score is handed on
                st.sampled_from(({}, {"muted": True}, {"commemorative": True})),
            ),
            max_size=25,
        ),
    )
    @settings(max_examples=25, deadline=None)
    def test_predictions_and_scores_more_than_needed_change_nothing(
        self,
        name: str,
        seed: int,
        steps: list[tuple[int, int, float, bool, dict[str, bool]]],
    ) -> None:
        subject, plain = warm(name, 80), warm(name, 80)
        chance = Random(seed)
        for n, (predictions, scores, weight, handed, planned) in enumerate(steps, 80):
            seen = observation(name, chance)
            prediction = predict(subject, n, **planned)
            for _ in range(predictions):
                assert predict(subject, n, **planned) == prediction
                predict(subject, n + 7)
            score = subject.score(prediction, seen)
            before = state(subject)
            for _ in range(scores):
                subject.score(predict(subject, n + 3), Observation(0.0, seen.size))
                assert alike(subject.score(prediction, seen), score)
            assert state(subject) == before
            subject.learn(prediction, seen, weight, score if handed else None)
            plain.learn(predict(plain, n, **planned), seen, weight)
            assert state(subject) == state(plain)

    @every_family
    def test_detectors_do_not_touch_each_other(self, name: str) -> None:
        alone, one, other = new_detector(name), new_detector(name), new_detector(name)
        teach(alone, name, range(300))
        chance = Random(0)
        for n in range(300):
            prediction = predict(one, n)
            teach(other, name, range(n + 700, n + 702), seed=n)
            one.learn(prediction, observation(name, chance), chance.choice((1.0, 0.3)))
        assert state(one) == state(alone)

    @every_family
    @pytest.mark.parametrize("taught", [0, 1, 30, 300])
    def test_bytes_out_and_in_again_change_nothing(self, name: str, taught: int) -> None:
        subject, copy = warm(name, taught), new_detector(name)
        copy.load(through_bytes(subject.dump(), SeriesDetectorState))
        assert state(copy) == state(subject)
        chance = Random(1)
        for n in range(taught, taught + 100):
            seen = observation(name, chance)
            prediction = predict(subject, n)
            assert predict(copy, n) == prediction
            assert alike(copy.score(prediction, seen), subject.score(prediction, seen))
            for each in (subject, copy):
                each.learn(prediction, seen, 0.5)
        assert state(copy) == state(subject)

    @every_family
    def test_memory_is_bounded(self, name: str) -> None:
        subject = warm(name, 4 * 1440)  # a day of each kind
        size = len(state(subject))
        teach(subject, name, range(4 * 1440, 8 * 1440))
        assert abs(len(state(subject)) - size) < 16, "but for how a small number is written"
        assert size < 4096

    @every_family
    def test_a_warm_up_is_no_score(self, name: str) -> None:
        subject, chance = new_detector(name), Random(0)
        found = []
        for n in range(70):
            prediction, seen = predict(subject, n), observation(name, chance)
            found.append(subject.score(prediction, seen))
            subject.learn(prediction, seen, 1.0)
        assert [score is None for score in found] == [True] * 60 + [False] * 10

    @every_family
    def test_without_a_warm_up_the_first_bucket_has_a_score(self, name: str) -> None:
        spec, tuning = SPECS[name], msgspec.structs.replace(TUNING, warm_up_seconds=0)
        baseline = baseline_factory(60.0)(spec)
        subject = SeriesDetector("s", "c", "x", spec, baseline, Scales(60.0), tuning)
        found = []
        for n in range(5):
            point, signals = judge(subject, n * 60.0, Observation(50.0 * (n > 3), 50.0), phase(n))
            found.append(point.score)
            assert all(0.0 < signal.weight <= 1.0 for signal in signals)
        assert None not in found

    @every_family
    @given(
        numbers=st.lists(st.tuples(st.floats(0, 1), st.floats(1.0, 1e12)), max_size=30),
        weight=st.sampled_from((0.0, 0.05, 1.0, 4.0)),
    )
    @settings(max_examples=25, deadline=None)
    def test_scores_are_probabilities_whatever_comes(
        self, name: str, numbers: list[tuple[float, float]], weight: float
    ) -> None:
        subject = warm(name, 80)
        for n, (share, size) in enumerate(numbers, 80):
            seen = Observation(size) if name != "ratio" else Observation(share * size, size)
            prediction = predict(subject, n)
            score = subject.score(prediction, seen)
            assert score is not None
            for probability in (score.above, score.below, score.silence, score.bucket):
                assert 0.0 < probability <= 1.0
            assert score.strongest == min(score.above, score.below, score.silence)
            assert score.lower <= score.upper
            assert all(map(math.isfinite, (score.expected, score.lower, score.upper)))
            subject.learn(prediction, seen, weight, score)

    @every_family
    def test_a_weight_of_nothing_teaches_nothing_of_what_is_normal(self, name: str) -> None:
        subject = warm(name)
        expected = predict(subject, 301).expected
        chance = Random(2)
        for n in range(300, 330):
            subject.learn(predict(subject, n), observation(name, chance), 0.0)
        assert predict(subject, 301).expected == expected


COMPONENTS = ("baseline", "dispersion", "scan", "calibration", "gaps", "presence")


class TestVersions:
    """Of components: one that has changed starts afresh, the others go on."""

    @pytest.mark.parametrize("changed", COMPONENTS)
    def test_a_component_of_another_version_alone_starts_afresh(self, changed: str) -> None:
        held, fresh = warm("count").dump(), new_detector("count").dump()
        subject = new_detector("count")
        version, old = getattr(held, changed)
        other = msgspec.structs.replace(held, **{changed: (version + 1, ["unheard of"])})
        subject.load(through_bytes(other, SeriesDetectorState))
        found = subject.dump()
        assert getattr(found, changed)[1] != old
        if changed != "scan":  # what is normal may have gone with its place
            assert getattr(found, changed) == getattr(fresh, changed)
        for name in COMPONENTS:
            if changed not in (name, "baseline"):
                assert getattr(found, name) == getattr(held, name)

    def test_without_what_is_normal_a_series_warms_up_anew(self) -> None:
        held = warm("count").dump()
        subject = new_detector("count")
        subject.load(msgspec.structs.replace(held, baseline=(-1, None)))
        chance = Random(0)
        found = []
        for n in range(300, 370):
            prediction, seen = predict(subject, n), observation("count", chance)
            found.append(subject.score(prediction, seen))
            subject.learn(prediction, seen, 1.0)
        assert [score is None for score in found] == [True] * 60 + [False] * 10

    @pytest.mark.parametrize("damaged", COMPONENTS)
    def test_a_damaged_component_of_the_right_version_is_refused(self, damaged: str) -> None:
        held = warm("count").dump()
        version, _ = getattr(held, damaged)
        for state in ([], ["x"] * 9, None, 7):
            bad = msgspec.structs.replace(held, **{damaged: (version, state)})
            with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's own
                new_detector("count").load(bad)


def alike(one: Score | None, other: Score | None) -> bool:
    """Whether two scores are the same, of which NaN may be a part."""
    return repr(one) == repr(other)
