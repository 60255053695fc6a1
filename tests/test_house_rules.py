"""The house rules that no linter knows, as tests. Linted rules (docstrings, names) are not here."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from ruptura.core.detect.forecast import Objectives

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 450
VAGUE_NAMES = {"common", "helper", "helpers", "misc", "shared", "stuff", "util", "utils"}

# Written in pieces, so that this file does not break its own rule.
REGISTRIES = (
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "repo." + "maven",
    "registry.npm" + "js",
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home)" + "/")

EXEMPTION = re.compile(r"#\s*(?:noqa|ruff:\s*noqa|type:\s*ignore|pragma:\s*no cover)\b")
EXEMPTION_WITH_REASON = re.compile(
    r"#\s*(?:(?:ruff: )?noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w-]+(?:, ?[\w-]+)*\])"
    r"(?: - | +# )(?:\S+ )+\S+"
)
PRIVATE_WORDS = {
    "admit": "ingest",
    "amid": "during",
    "contender": "baseline, detector",
    "doubt": "standard error",
    "enroll": "create",
    "freak": "outlier",
    "heed": "materiality",
    "hush": "gap model",
    "inbox": "queue",
    "leash": "child guard",
    "ledger": "changelog",
    "loudest": "dominant",
    "outlook": "forecaster",
    "parcel": "batch",
    "pulse": "heartbeat",
    "ration": "sampler",
    "retune": "reconfigure",
    "rival": "baseline",
    "saver": "checkpointer",
    "shelf": "cache",
    "shell": "tool, runner",
    "standing": "active, status",
    "trifle": "negligible",
    "vitals": "health",
    "yardstick": "likelihood",
}
"""Words that stood for what the field has a name for; told_at and whole_file are like them."""
PRIVATE_NAMES = {"told_at": "last_notified_at", "whole_file": "atomic_write"}

SERIES_OF_TICKETS = re.compile(r"\btickets(?:\.|\[\.\])[a-z_]+")
READS_THE_CLOCK = {"now", "today", "utcnow"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def comments(source: str) -> list[tuple[int, str]]:
    """Comments with their line numbers; text in string literals is no comment."""
    return [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]


def unexplained_exemptions(source: str) -> list[int]:
    return [
        line
        for line, comment in comments(source)
        if EXEMPTION.search(comment) and not EXEMPTION_WITH_REASON.search(comment)
    ]


def series_named(source: str, names: Iterable[str]) -> list[int]:
    """Lines with a string that is the name of a series, or holds one of tickets; not docstrings."""
    tree, known = ast.parse(source), set(names)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
        and (node.value in known or SERIES_OF_TICKETS.search(node.value))
    ]


def names_defined(source: str) -> list[tuple[int, str]]:
    """Lines and names of the classes, functions, parameters, variables, attributes and aliases."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                found.append((node.lineno, node.name))
            case ast.arg():
                found.append((node.lineno, node.arg))
            case ast.Name(ctx=ast.Store()):
                found.append((node.lineno, node.id))
            case ast.Attribute(ctx=ast.Store()):
                found.append((node.lineno, node.attr))
            case ast.Import() | ast.ImportFrom():
                found += [(node.lineno, each.asname) for each in node.names if each.asname]
    return found


def coined(name: str) -> dict[str, str]:
    """Words in a name that the field has another word for, with that word."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    words |= {word.removesuffix("s") for word in words}
    found = {word: PRIVATE_WORDS[word] for word in sorted(words & PRIVATE_WORDS.keys())}
    return found | {each: use for each, use in PRIVATE_NAMES.items() if each in name.lower()}


def private_words(text: str) -> list[str]:
    """Registry hosts and paths of one machine that a text names."""
    found = [host for host in REGISTRIES if host in text]
    return found + [match.group() for match in MACHINE_PATH.finditer(text)]


def clock_readings(source: str) -> list[int]:
    """Lines that ask a date type for the time, as in `datetime.now(UTC)`; `tick.now` does not."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in READS_THE_CLOCK
    ]


@pytest.fixture(scope="module")
def shipped_texts() -> dict[str, str]:
    """Every text file that is, or is about to be, under version control."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: nobody can say which files are shipped")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    texts = {}
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                texts[name] = content.decode("utf-8", errors="replace")
    assert "pyproject.toml" in texts
    return texts


def test_files_are_small_enough_to_hold_in_the_head() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in python_files("pipeline", "tests", "deploy")
    }
    assert lengths, "no files found: this test looks in the wrong place"
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_modules_are_named_after_their_job() -> None:
    paths = python_files("pipeline", "tests", "deploy")
    vague = [
        str(path.relative_to(ROOT))
        for path in paths
        if VAGUE_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    ]
    assert vague == []


def test_every_folder_of_the_package_is_a_package() -> None:
    # import-linter silently passes over a folder without __init__.py, contracts and all.
    folders = {path.parent for path in python_files("pipeline/ruptura")}
    bare = sorted(
        str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()
    )
    assert bare == []


def test_the_map_of_the_package_names_only_what_is_there() -> None:
    text = (ROOT / "pipeline/README.md").read_text()
    package = ROOT / "pipeline/ruptura"
    there = [path.relative_to(package).as_posix() for path in package.rglob("*")]
    named = re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.(?:py|toml)|[a-z_]+/))`", text)
    assert len(named) > 40, "no names found: this test looks for the wrong pattern"
    missing = [
        name
        for name in named
        if name not in {"deploy/", "schemas/", "ruptura/", "pyproject.toml"}
        and not any(f"/{place}".endswith(f"/{name.rstrip('/')}") for place in there)
    ]
    assert missing == []
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    assert {room for room in rooms if f"`{room}/`" not in text} == set(), "not on the map"


def test_the_core_never_asks_what_time_it_is() -> None:
    # The import contracts keep `time` out; `datetime` is a type as well as a clock.
    readings = {
        str(path.relative_to(ROOT)): lines
        for path in python_files("pipeline/ruptura/core")
        if (lines := clock_readings(path.read_text()))
    }
    assert readings == {}


def test_code_asks_the_registry_for_series_and_names_none() -> None:
    names = set(tomllib.loads((ROOT / "pipeline/ruptura/core/series/registry.toml").read_text()))
    assert "tickets.opened" in names
    named = {
        str(path.relative_to(ROOT)): lines
        for path in python_files("pipeline", "deploy")
        # Some keys of objectives are called as the series that they bound.
        if (lines := series_named(path.read_text(), names - objective_keys(path)))
    }
    assert named == {}, "ask the registry, by role or by what is measured"


def objective_keys(path: Path) -> set[str]:
    return set(Objectives.__struct_fields__) if path.parent.name == "settings" else set()


def test_names_in_the_package_are_the_words_of_the_field() -> None:
    paths = python_files("pipeline")
    assert paths, "no files found: this test looks in the wrong place"
    named = {
        f"{path.relative_to(ROOT)}:{line} {name}": instead
        for path in paths
        for line, name in [(1, path.stem), *names_defined(path.read_text())]
        if (instead := coined(name))
    }
    assert named == {}


def test_every_exemption_in_code_gives_its_reason() -> None:
    unexplained = {
        str(path.relative_to(ROOT)): lines
        for path in python_files("pipeline", "tests", "deploy")
        if (lines := unexplained_exemptions(path.read_text()))
    }
    assert unexplained == {}, "write `# noqa: X1 - why` or `# type: ignore[code]  # why`"


def test_every_exemption_in_the_configuration_gives_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    rules = [*lint["ignore"], *(r for rules in lint["per-file-ignores"].values() for r in rules)]
    lines = [line.strip() for line in text.splitlines()]
    unexplained = [
        rule
        for rule in rules
        if not any(re.match(rf'"{rule}",\s+# \S+ \S+', line) for line in lines)
    ]
    assert rules
    assert unexplained == []


def test_nothing_shipped_names_a_registry_or_a_path_of_one_machine(
    shipped_texts: dict[str, str],
) -> None:
    named = {name: words for name, text in shipped_texts.items() if (words := private_words(text))}
    assert named == {}


def test_the_wheel_holds_the_schemas_and_the_marker_of_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("ruptura-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    schemas = {f"ruptura/schemas/{path.name}" for path in (ROOT / "schemas").glob("*.schema.json")}
    assert schemas, "no schemas found: this test looks in the wrong place"
    assert schemas | {"ruptura/py.typed", "ruptura/core/series/registry.toml"} <= names
    modules = {
        path.relative_to(ROOT / "pipeline").as_posix() for path in python_files("pipeline/ruptura")
    }
    assert modules <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa",
        "import x  # noqa: F401",
        "import x  # noqa: F401 - unused",
        "import x  # type: ignore",
        "import x  # type: ignore[import]",
        "import x  # type: ignore - because of reasons",
        "# ruff: noqa",
    ],
)
def test_an_exemption_without_a_reason_is_seen(line: str) -> None:
    assert unexplained_exemptions(line + "\n") == [1]


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa: F401 - registers itself on import",
        "import x  # noqa: F401, E402 - registers itself on import",
        "# ruff: noqa: S105, S106 - the passwords are made up",
        "import x  # type: ignore[import-untyped]  # ships no types",
        "import x  # type: ignore[import-untyped]  # noqa: F401 - ships no types",
        "text = '# noqa'",
    ],
)
def test_an_exemption_with_a_reason_is_accepted(line: str) -> None:
    assert unexplained_exemptions(line + "\n") == []


@pytest.mark.parametrize(
    ("line", "is_seen"),
    [
        ("x = {'requests': 1}", True),
        ("x = f'series=\"tickets.exceptions_{kind}\"'", True),
        ("x = 'series=~\"tickets[.]opened\"'", True),
        ("'''Of `requests`, or tickets.opened.'''", False),
        ("x = 'requests of others, or tickets.'", False),
        ("requests = x.requests", False),
    ],
)
def test_a_series_that_is_named_is_seen(line: str, is_seen: bool) -> None:
    assert series_named(line + "\n", ["requests", "tickets.opened"]) == [1] * is_seen


@pytest.mark.parametrize(
    "line",
    [
        "class InputParcel: ...",
        "def enroll_channel(): ...",
        "async def f(): heeded = heed = 1",
        "def f(*, rivals): ...",
        "self._ledger = 1",
        "from ruptura.tools import publish as shell",
        "told_at: float",
    ],
)
def test_a_private_word_is_seen(line: str) -> None:
    assert any(coined(name) for _, name in names_defined(line))


@pytest.mark.parametrize("name", ["migration", "outstanding", "impulse", "admission", "Shelley"])
def test_a_word_that_only_holds_a_private_one_is_none(name: str) -> None:
    assert coined(name) == {}


@pytest.mark.parametrize("folder", ["work", "root", "home"])
def test_a_path_of_one_machine_is_seen(folder: str) -> None:
    assert private_words(f"data = '/{folder}/someone'") == [f"/{folder}/"]


@pytest.mark.parametrize(
    "text", ["https://example.org/work/paper", "../home/page", "src/root/x", "/homestead"]
)
def test_an_address_or_a_relative_path_is_no_path_of_one_machine(text: str) -> None:
    assert private_words(text) == []


def test_a_reading_of_the_clock_is_seen() -> None:
    assert clock_readings("a = 1\nb = datetime.now(UTC)\nc = date.today()\nd = tick.now\n") == [
        2,
        3,
    ]
