"""Records a second: the worker, whole pipeline with checkpoints, against others on its broker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from ruptura.settings import Settings
from tests.bench import broker
from tests.bench.broker import Ground, Standing
from tests.bench.children import BenchError, Child, Rate, rate, watch
from tests.bench.figures import Entry, Outcome, Row, absent, against
from tests.bench.load import Load
from tests.integration.kafka_server import free_ports
from tests.integration.workers import WorkerProcess

LOAD = Load(minutes=150, events_per_bucket=6_000, first_rupture=8)
_SECONDS = 10.0  # after which a slow one has shown its rate
_WORKER_SECONDS = 40.0  # it is seen by its commits, one a second: all of the load, then
_WARM_UP_SECONDS = 300

WORKER = "worker"
_MODULES = {
    "worker-vs-stock-faust": ("stock_faust", "stock Faust agent, empty body", ""),
    "worker-vs-quix-streams": ("quix_count", "Quix Streams, tumbling count", "quixstreams"),
    "worker-vs-bytewax": ("bytewax_count", "Bytewax, tumbling count", "bytewax"),
    "worker-vs-empty-aiokafka": ("empty_aiokafka", "aiokafka, empty getmany loop", ""),
}


def measure(ground: Ground, names: frozenset[str], say: Callable[[str], None]) -> Outcome:
    """Measure the worker and the named baselines in turn, so many times as there are runs."""
    wanted = {name: _MODULES[name] for name in _MODULES if name in names}
    inputs = broker.tuned(ground.servers, "load")
    broker.create(inputs)
    # It ends just now: else the worker, once it has read all, would close the buckets since.
    load = msgspec.structs.replace(LOAD, start=(time.time() // 60.0 - LOAD.minutes) * 60.0)
    say(f"filling topics: {LOAD.total:,} records, {LOAD.events_per_bucket:,} events a bucket")
    broker.fill(inputs, load)
    reasons = {name: _missing(ground, module[2]) for name, module in wanted.items()}
    ours: list[Rate] = []
    theirs: dict[str, list[Rate]] = {name: [] for name in wanted}
    notes: list[str] = []
    for run in range(ground.runs):
        say(f"run {run + 1}: {WORKER}")
        reached, note = _worker(ground, inputs)
        ours.append(reached)
        notes.append(note)
        say(f"  {reached.per_second:,.0f}/s, {reached.per_cpu_second:,.0f} per CPU second; {note}")
        for name, (module, title, _) in wanted.items():
            if reasons[name]:
                continue
            say(f"run {run + 1}: {title}")
            try:
                found = _baseline(ground, inputs, module)
            except BenchError as error:
                reasons[name] = f"{title}: {str(error).splitlines()[0]}"
                say(f"  {error}")
                continue
            theirs[name].append(found)
            say(f"  {found.per_second:,.0f}/s, {found.per_cpu_second:,.0f} per CPU second")
    rows = _rows(WORKER, ours, notes[-1])
    for name, (_, title, _) in wanted.items():
        if theirs[name]:
            rows += _rows(title, theirs[name], _ratio(ours, theirs[name]))
    entries = [_entry(name, wanted[name][1], ours, theirs[name], reasons[name]) for name in wanted]
    return Outcome(entries, rows)


def _entry(name: str, title: str, ours: list[Rate], theirs: list[Rate], reason: str) -> Entry:
    if len(theirs) < len(ours):
        return absent(name, "events/s", reason)
    pairs = [(a.per_second, b.per_second) for a, b in zip(ours, theirs, strict=True)]
    return against(name, "events/s", title, pairs)


def _rows(title: str, rates: list[Rate], note: str) -> list[Row]:
    return [
        Row(title, median(r.per_second for r in rates), "events/s", note),
        Row(title, median(r.per_cpu_second for r in rates), "events per CPU second"),
        Row(title, median(1e6 * r.cpu / r.records for r in rates), "µs of CPU per event"),
    ]


def _ratio(ours: list[Rate], theirs: list[Rate]) -> str:
    pairs = list(zip(ours, theirs, strict=False))
    by_wall = median(a.per_second / b.per_second for a, b in pairs)
    by_cpu = median(a.per_cpu_second / b.per_cpu_second for a, b in pairs)
    return f"the worker: {by_wall:.2f} times by the clock, {by_cpu:.2f} times by CPU"


def _missing(ground: Ground, package: str) -> str:
    """Why a baseline cannot run; empty if it can."""
    if not package:
        return ""
    if not ground.baselines.exists():
        return f"{package} is not installed; `make bench` does that"
    probe = [str(ground.baselines), "-c", f"import {package}"]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
    return f"{package} cannot be imported: {done.stderr[-200:]}" if done.returncode else ""


def _baseline(ground: Ground, inputs: Settings, module: str) -> Rate:
    """A baseline reads the tickets from their beginning, in a group of its own."""
    mine = broker.tuned(ground.servers, module.replace("_", "-"))
    folder = ground.folder / mine.kafka.group_id
    folder.mkdir()
    python = str(ground.baselines) if module in ("quix_count", "bytewax_count") else ground.python
    arguments = [ground.servers, inputs.topics.tickets, mine.kafka.group_id, str(folder)]
    arguments.append(str(free_ports(1)[0]))
    log = ground.folder / f"{module}.log"
    with Child(f"tests.bench.baselines.{module}", arguments, log, python=python) as child:
        return rate(watch(child.process.pid, child.count, LOAD.tickets, seconds=_SECONDS))


def _worker(ground: Ground, inputs: Settings) -> tuple[Rate, str]:
    """The worker reads tickets and metrics; it is as far as its committed offsets are."""
    settings = broker.tuned(
        ground.servers,
        "worker",
        topics={
            "tickets": inputs.topics.tickets,
            "channel_metrics": inputs.topics.channel_metrics,
        },
        detection={"warm_up_seconds": _WARM_UP_SECONDS},
        worker={"web_port": 0},
    )
    broker.create(settings)
    standing = Standing(settings, (settings.topics.tickets, settings.topics.channel_metrics))
    with WorkerProcess(settings, _fresh(ground.folder / "worker.log")) as running:
        looks = watch(
            running.process.pid,
            standing.committed,
            LOAD.total,
            seconds=_WORKER_SECONDS,
            idle_seconds=15.0,
        )
        found = rate(looks)
        note = _sanity(running, looks[-1].count)
    return found, note


def _sanity(running: WorkerProcess, committed: int) -> str:
    """What the worker says of its run; what it should not have found is named, not hidden."""
    consumed = running.counter("ruptura_events_consumed_total")
    if consumed < committed:
        raise BenchError(f"{committed} are committed, but only {consumed:.0f} consumed")
    found = {
        "buckets": running.counter("ruptura_buckets_closed_total"),
        "alert documents": running.counter("ruptura_alerts_total"),
    }
    faults = {
        name: running.counter(f"ruptura_events_{name}_total")
        for name in ("late", "duplicate", "rejected")
    }
    said = [f"{count:,.0f} {name}" for name, count in found.items()]
    said += [f"{count:,.0f} {name.upper()}" for name, count in faults.items() if count]
    return ", ".join(said if any(faults.values()) else [*said, "none late or refused"])


def _fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path
