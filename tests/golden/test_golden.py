"""The golden recording gives the golden alerts, byte for byte."""

from __future__ import annotations

import msgspec

from ruptura.core.contracts.document import Alert
from ruptura.files.recording import open_for_reading, to_line
from tests.golden.storm import EXPECTED, RECORDING, alerts_of, storm


def test_the_alerts_are_those_that_were_agreed_on() -> None:
    assert alerts_of(RECORDING) == EXPECTED.read_bytes(), (
        "alerts changed; if that is wanted, see tests/golden/storm.py for how to renew them"
    )


def test_the_recording_is_the_one_that_the_seed_makes() -> None:
    with open_for_reading(RECORDING) as stream:
        assert stream.read() == b"".join(to_line(one) + b"\n" for one in storm())


def test_it_holds_a_surge_a_failure_and_a_silence() -> None:
    lines = EXPECTED.read_bytes().splitlines()
    alerts = [msgspec.json.decode(line, type=Alert) for line in lines]
    assert {alert.kind for alert in alerts} == {"surge", "failure", "silence"}
    assert {alert.status for alert in alerts} == {"warning", "critical", "resolved"}
