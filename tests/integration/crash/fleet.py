"""Workers that come and go: killed, stopped, paused, and started again as a supervisor would."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from ruptura.settings import Settings
from tests.integration.crash.moments import Moment, fault
from tests.integration.workers import WorkerProcess

_PATIENCE_SECONDS = 20.0  # with a worker that is to kill itself
_MOST_ENDS = 20  # of workers by themselves, before something must be wrong
_STOP_SECONDS = 40.0

Tell = Callable[[str], None]


class Fleet:
    """Workers of one group, each with a name.

    Args:
        settings: Of all of them.
        folder: Where their logs go, one a name.
        chance: Chooses the moments.
        tell: Is told what is done.

    Attributes:
        kills: How often a worker was killed, by moment.
        did: How often what else was done.
        ended: What workers said last that ended by themselves; they are started again.
    """

    def __init__(
        self, settings: Settings, folder: Path, chance: Random, tell: Tell = lambda _: None
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._chance = chance
        self._tell = tell
        self._running: dict[str, WorkerProcess] = {}
        self.kills: Counter[str] = Counter()
        self.did: Counter[str] = Counter()
        self.ended: list[str] = []

    def end(self) -> None:
        """Kill what still runs; it does not count."""
        for name in self.names:
            self._end(name)

    @property
    def names(self) -> list[str]:
        """Of the workers that were started and not stopped."""
        return list(self._running)

    def __getitem__(self, name: str) -> WorkerProcess:
        return self._running[name]

    def start(self, name: str, python: str | None = None) -> WorkerProcess:
        """Start a worker, without waiting for it.

        Args:
            name: Of the worker.
            python: Run in it first.
        """
        log = self._folder / f"{name}.log"
        self._running[name] = running = WorkerProcess(self._settings, log, python)
        return running

    def crash(self, name: str, moment: Moment = "stepping") -> None:
        """Kill a worker; where it must start for that, kill it twice. Then start it again."""
        running = self._running[name]
        if moment == "leaving":
            running.process.terminate()
            time.sleep(self._chance.uniform(0.0, 0.8))
        self._kill(name, "leaving" if moment == "leaving" else "stepping")
        if moment not in {"leaving", "stepping"}:
            self._crash_on_the_way(name, moment)
        self.start(name)

    def _crash_on_the_way(self, name: str, moment: Moment) -> None:
        python = fault(moment, self._chance)
        running = self.start(name, python)
        if python is None:
            if moment == "joining":
                self._wait(running, lambda: bool(running.said("worker starts")))
            time.sleep(self._chance.uniform(0.0, 1.5))
            self._kill(name, moment)
        elif self._wait(running, lambda: False):
            self._count(name, moment)
            self._running.pop(name)
        else:
            self._kill(name, "stepping")  # nothing to restore, say, or no alert on the way

    def kill(self, name: str) -> None:
        """Kill a worker for good."""
        self._kill(name, "stepping")

    def stop(self, name: str) -> None:
        """Stop a worker in order, for good."""
        running = self._running.pop(name)
        running.process.send_signal(signal.SIGTERM)
        code = running.process.wait(_STOP_SECONDS)
        self._tell(f"{name}: stopped, code {code}")
        self.did["stops"] += 1
        if code and not (code == -signal.SIGTERM and not running.output):  # it had hardly begun
            self.ended.append(f"{name} left with {code}: {_last(running)}")

    def freeze(self, name: str) -> None:
        """Let a worker stand still."""
        self._running[name].process.send_signal(signal.SIGSTOP)
        self._tell(f"{name}: stands still")
        self.did["pauses"] += 1

    def thaw(self, name: str) -> None:
        """Let it go on as if nothing had happened."""
        self._running[name].process.send_signal(signal.SIGCONT)
        self._tell(f"{name}: goes on")

    def tend(self) -> None:
        """Start again what has ended by itself."""
        for name, running in list(self._running.items()):
            code = running.process.poll()
            if code is not None:
                said = f"{name} ended by itself with {code}: {_last(running)}"
                self._tell(said)
                self.ended.append(said)
                assert len(self.ended) < _MOST_ENDS, self.ended[-3:]
                self.start(name)

    def wait(self, condition: Callable[[], bool], limit: float = 90.0) -> bool:
        """Wait for a condition while the workers are tended; tell whether it came true."""
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.tend()
            time.sleep(0.2)
        return True

    def wait_ready(self) -> None:
        """Wait until all workers are ready."""
        assert self.wait(lambda: all(self._is_ready(name) for name in self.names)), "not ready"

    def _is_ready(self, name: str) -> bool:
        running = self._running[name]
        return bool(running.said("worker starts")) and running.get("/readyz")[0] == 200

    def _wait(self, running: WorkerProcess, condition: Callable[[], bool]) -> bool:
        """Wait until a worker has ended, or a condition; tell whether it has ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while running.process.poll() is None:
            if condition() or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _kill(self, name: str, moment: Moment) -> None:
        self._end(name)
        self._count(name, moment)

    def _end(self, name: str) -> None:
        self._running.pop(name).kill()

    def _count(self, name: str, moment: Moment) -> None:
        self.kills[moment] += 1
        self._tell(f"{name}: killed {moment}")


def _last(running: WorkerProcess) -> str:
    """The last line of a log that says that something is wrong, or the last line."""
    lines = running.output.splitlines()
    told = [line for line in lines if '"error"' in line or '"cannot start"' in line] or lines
    return told[-1][:400] if told else "nothing"
