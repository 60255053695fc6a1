"""The dashboards as files: written, or compared with what would be written."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dashboards import DASHBOARDS, json_text

JSON = Path(__file__).parent / "json"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file differs.")
def main(check: bool) -> None:
    """Write the dashboards as JSON files."""
    texts = {JSON / f"{made.uid}.json": json_text(made) for made in DASHBOARDS}
    stale = sorted(path for path in JSON.glob("*.json") if path not in texts)
    changed = [path for path, text in texts.items() if _text(path) != text]
    for path in [*changed, *stale]:
        click.echo(f"{path.name} {'differs' if check else 'renewed'}", err=check)
    if check:
        sys.exit(1 if changed or stale else 0)
    for path in stale:
        path.unlink()
    for path in changed:
        path.write_text(texts[path], encoding="utf-8")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    main()
