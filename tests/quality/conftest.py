"""The benchmark's files, and how the detector scores them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from ruptura.core.detect.novelty import Novelty
from ruptura.evaluation.nab import Judged
from ruptura.evaluation.nab_files import NabFile, read_nab


@pytest.fixture(scope="session")
def files(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[NabFile]:
    archive = data_dir / "nab-half.tgz"
    if not archive.is_file():
        pytest.skip(f"{archive} not found")
    folder = tmp_path_factory.mktemp("nab")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return read_nab(folder / "nab", folder / "nab" / "windows.json")


@pytest.fixture(scope="session")
def judged(files: list[NabFile]) -> list[Judged]:
    return [Judged(scored(file), file.windows) for file in files]


def scored(file: NabFile) -> list[float]:
    detector = Novelty()
    scores = []
    for seconds, value in zip(file.times.tolist(), file.values.tolist(), strict=True):
        x = {"timestamp": seconds, "value": value}
        scores.append(detector.score_one(x))
        detector.learn_one(x)
    return scores
