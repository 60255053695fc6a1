"""Mutants of the core: which small changes of the code no test of the core notices.

    make mutants                                       # a sample of every folder of the core
    make mutants ARGS="--folder decide --sample 0"     # all mutants of one folder
    make mutants ARGS="--sample 20 --seed 7"           # another, smaller sample

mutmut (https://mutmut.readthedocs.io) makes the mutants, runs for each of them the tests that reach
its function, the fastest first, and stops at the first failure. It wants packages below `src`, so
it works on a copy below `build/mutants`, and never touches the checkout. It changes what stands in
functions: constants of modules are left to the tests that name them.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "mutants"
CORE = Path("src") / "ruptura" / "core"

ENGINE = ("test_channel", "test_detection", "test_engine", "test_planned_windows")
"""Tests of the whole engine that take part for every folder, beside its own. What the others add
are properties over long histories, which take minutes for each mutant that survives."""

OWN = (
    "test_engine_pull",
    "test_history",
    "test_reconfigure",
    "test_state",
    "test_state_components",
)
"""Beside those, the tests of what stands in the core itself, in no folder."""

SLOW = ("tests/core/ingest/test_decode_fuzz.py",)

KILLED = ("killed", "timeout", "segfault")

CONFIG = """
[tool.mutmut]
source_paths = ["src/ruptura"]
only_mutate = ["{only}"]
also_copy = ["schemas", "deploy", "README.md", "CHANGELOG.md"]
timeout_multiplier = 4.0
timeout_constant = 5.0
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.mutation.plugin"]
pytest_add_cli_args_test_selection = {tests}
"""


def main() -> int:
    """Stage the copy, choose mutants, run mutmut, print the score by folder and the survivors."""
    parser = argparse.ArgumentParser(description="Mutants of the core.")
    parser.add_argument("--folder", action="append", help="below core/; `.` for its own files")
    parser.add_argument("--sample", type=int, default=40, help="mutants a folder; 0: all of them")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, help="mutants at once; all processors by default")
    wanted = parser.parse_args()
    folders = wanted.folder or _folders()
    unknown = sorted(set(folders) - set(_folders()))
    if unknown:
        parser.error(f"no such folder: {unknown[0]}; there are {', '.join(_folders())}")
    told: dict[str, Counter[str]] = {}
    for folder in folders:
        _stage(folder)
        mutants = _mutants(folder)
        chosen = mutants
        if 0 < wanted.sample < len(mutants):
            chosen = sorted(Random(wanted.seed).sample(mutants, wanted.sample))
        _say(f"{folder}: {len(chosen)} of {len(mutants)} mutants")
        results = _run(chosen, wanted.jobs)
        told[folder] = Counter(results[name] for name in chosen)
        for name in chosen:
            if results[name] not in KILLED:
                _say(_difference(name, results[name]))
    _say(_table(told))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _folders() -> list[str]:
    core = ROOT / "pipeline" / "ruptura" / "core"
    return [*sorted(p.name for p in core.iterdir() if (p / "__init__.py").exists()), "."]


def _stage(folder: str) -> None:
    """Copy what the tests of the core need to where mutmut can work."""
    shutil.rmtree(BUILD, ignore_errors=True)
    (BUILD / "src").mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline" / "ruptura", BUILD / "src" / "ruptura", ignore=ignore)
    for name in ("tests", "schemas", "deploy"):
        shutil.copytree(ROOT / name, BUILD / name, ignore=ignore)
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, BUILD / name)
    names = (*ENGINE, *OWN) if folder == "." else ENGINE
    tests = [f"tests/core/{name}.py" for name in names]
    if folder != ".":
        tests += [f"tests/core/{folder}", *(f"--deselect={name}" for name in SLOW)]
    # One `*` of mutmut's goes below folders too; the core's own files have to be named.
    only = f"src/ruptura/core/{folder}/*"
    if folder == ".":
        own = sorted((BUILD / CORE).glob("*.py"))
        only = '", "'.join(path.relative_to(BUILD).as_posix() for path in own)
    config = (ROOT / "pyproject.toml").read_text() + CONFIG.format(tests=tests, only=only)
    (BUILD / "pyproject.toml").write_text(config)


def _mutants(folder: str) -> list[str]:
    """Return the names that mutmut gives to the mutants of a folder."""
    core = BUILD / CORE
    names: list[str] = []
    for path in sorted((core / folder).glob("*.py" if folder == "." else "**/*.py")):
        with contextlib.chdir(BUILD):  # where mutmut finds its settings
            mutated = mutate_file_contents(str(path), path.read_text(), None)
        place = path.relative_to(BUILD)
        names += [get_mutant_name(place, name) for name in mutated.mutant_names]
    return names


def _run(chosen: list[str], jobs: int | None) -> dict[str, str]:
    """Run mutmut on these; return what became of each."""
    mutmut = [str(Path(sys.executable).parent / "mutmut")]
    at_once = [] if jobs is None else ["--max-children", str(jobs)]
    log = BUILD / "mutmut.log"
    with log.open("w") as stream:  # it draws a spinner, and a line for each mutant
        told = subprocess.run(
            [*mutmut, "run", *at_once, *chosen],
            cwd=BUILD,
            check=False,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    if told.returncode:
        sys.exit(log.read_text()[-4000:] + f"\nmutmut failed; all of its output: {log}")
    lines = subprocess.run(
        [*mutmut, "results", "--all", "true"], cwd=BUILD, check=True, capture_output=True, text=True
    ).stdout
    return dict(re.findall(r"^\s+(\S+): (.+)$", lines, re.MULTILINE))


def _difference(name: str, result: str) -> str:
    mutmut = str(Path(sys.executable).parent / "mutmut")
    shown = subprocess.run(
        [mutmut, "show", name], cwd=BUILD, check=True, capture_output=True, text=True
    ).stdout
    changed = [line for line in shown.splitlines() if re.match(r"[-+](?![-+])", line)]
    return "\n".join([f"{result}: {name}", *changed])


def _table(told: dict[str, Counter[str]]) -> str:
    rows = ["| folder | mutants | killed | score |", "|---|---|---|---|"]
    for folder, counts in told.items():
        number, killed = counts.total(), sum(counts[result] for result in KILLED)
        score = f"{100 * killed / number:.0f} %" if number else "-"
        rows.append(f"| `core/{folder}` | {number} | {killed} | {score} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
