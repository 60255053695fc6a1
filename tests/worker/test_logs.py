"""Logs: one JSON object a line on stderr, the libraries' among them; and nothing said too often."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ruptura.worker import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The configuration of the process as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    chatty = {name: logging.getLogger(name).level for name in logs._CHATTY}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in chatty.items():
        logging.getLogger(name).setLevel(former)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_an_object_with_time_level_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("ruptura.worker").info("alert", service="loja", risk=0.5)
    [line] = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "alert", "level": "info", "logger": "ruptura.worker",
        "service": "loja", "risk": 0.5,
    }  # fmt: skip


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("ruptura.worker").error("failed", exc_info=ValueError("a\nb"))
    [line] = lines(capsys)
    assert "ValueError: a\nb" in str(line["exception"])


def test_libraries_speak_the_same_form_and_only_of_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    for name in ("faust.app.ruptura", "mode.services", "aiokafka.conn"):
        logging.getLogger(name).info("routine")
        logging.getLogger(name).warning("%s is wrong", name)
    assert [line["event"] for line in lines(capsys)] == [
        "faust.app.ruptura is wrong", "mode.services is wrong", "aiokafka.conn is wrong",
    ]  # fmt: skip


def test_debug_shows_what_the_libraries_do(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    logging.getLogger("faust.app.ruptura").debug("routine")
    assert [line["event"] for line in lines(capsys)] == ["routine"]


def test_a_library_that_repeats_itself_is_heard_once_and_we_every_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("ruptura.worker.logs.time.monotonic", lambda: now)
    logs.configure("info", "json")
    for attempt in range(30):
        logging.getLogger("aiokafka").error("no broker, attempt %d", attempt)
        structlog.get_logger("ruptura.worker").info("alert", service=str(attempt))
    now = 160.0
    logging.getLogger("aiokafka").error("no broker, attempt %d", 30)
    said = [str(line["event"]) for line in lines(capsys)]
    assert [event for event in said if event != "alert"] == [
        "no broker, attempt 0",
        "no broker, attempt 30 (and 29 times more before)",
    ]
    assert said.count("alert") == 30


def test_hushed_libraries_say_nothing_and_we_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logs.mute_libraries()
    logging.getLogger("faust.app.ruptura").critical("We experienced a crash!")
    structlog.get_logger("ruptura.worker").info("worker stopped")
    assert [line["event"] for line in lines(capsys)] == ["worker stopped"]


def test_people_get_lines_without_escapes_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "console")
    structlog.get_logger("ruptura.worker").info("alert", service="loja")
    text = capsys.readouterr().err
    assert "alert" in text
    assert "service=loja" in text
    assert "\x1b" not in text


def test_a_name_is_logged_once_a_minute_with_the_count_of_what_came_in_between() -> None:
    ration = logs.LogSampler(seconds=60.0)
    assert ration.add("loja", 3, 100.0) == ("loja", 3)
    assert ration.add("loja", 4, 110.0) is None
    assert ration.add("rival", 1, 110.0) == ("rival", 1)
    assert ration.add("loja", 5, 159.9) is None
    assert ration.add("loja", 6, 160.0) == ("loja", 15)
    assert ration.add("loja", 7, 161.0) is None


def test_names_beyond_the_cap_share_one() -> None:
    ration = logs.LogSampler(names=2)
    for name in ("a", "b"):
        ration.add(name, 1, 0.0)
    assert ration.add("c", 2, 0.0) == ("other", 2)
    assert ration.add("d", 3, 1.0) is None
    assert ration.add("e", 4, 60.0) == ("other", 7)
