"""`ruptura worker` at the pace of the demo, which plays days in seconds.

`python -m ruptura.tools.demo.quick_worker --config FILE` runs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from ruptura.settings import load
from ruptura.worker import logs
from ruptura.worker.pace import Pace
from ruptura.worker.start import run_worker

PACE: Final = Pace(
    # A partition that has only tickets closes its buckets once a tick has told that its metrics
    # are silent; a tick speaks of 0.6 s ago (twice the wait for fetches, and 0.5 s).
    tick_seconds=0.2,
    checkpoint_seconds=0.5,
    fetch_max_wait_seconds=0.05,  # full batches are not worth waiting for
)


def main() -> int:
    """Run the worker until it is stopped; return its exit code."""
    _, _, config = sys.argv
    settings = load(Path(config), os.environ)
    logs.configure(settings.worker.log_level, settings.worker.log_format)
    return run_worker(settings, pace=PACE)


if __name__ == "__main__":
    sys.exit(main())
