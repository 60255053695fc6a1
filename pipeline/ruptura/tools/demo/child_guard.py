"""A guard of child processes: they end when their parent does, even by `kill -9`.

The parent holds the write end of a pipe that is the child's standard input; the kernel closes it
with the parent, whatever ended that. Children stand in a session of their own, so that Ctrl-C
reaches only the parent, which then stops them in order.

`python -m ruptura.tools.demo.child_guard MODULE [ARGUMENT ...]` runs a module that ends with its
parent.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

GRACE_SECONDS = 10.0
"""How long a child may take to stop after its parent is gone."""


def guarded(*arguments: str) -> list[str]:
    """Return the command that runs a module with arguments so that it ends with its parent."""
    return [sys.executable, "-m", __name__, *arguments]


def start(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command with the pipe that `guarded` commands listen to.

    Raises:
        OSError: the command cannot be started.
    """
    return subprocess.Popen(  # noqa: S603 - commands come from this package
        command,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        start_new_session=True,
    )


def stop(child: subprocess.Popen[bytes], seconds: float) -> int:
    """Stop a child by SIGTERM, or by SIGKILL once `seconds` have passed; return its exit code."""
    try:
        child.terminate()
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also where a second Ctrl-C interrupts the wait
        if child.poll() is None:
            child.kill()
        code = child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return code


def _follow() -> None:
    """Wait for the parent's end, then stop this process."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    """Run the module that the command line names."""
    threading.Thread(target=_follow, name="child-guard", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
