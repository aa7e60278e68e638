"""What a process takes at most while it trains on a file larger than its budget, as the kernel counts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

BUDGET = 16_000_000
ROW_GROUP = 1_000_000 * 20 * 8
"""The numbers of the Parquet file; where they are one row group, polars unpacks all that is asked for at once."""
PIECES = 40 * 2**21
"""A piece of a CSV file, 2 MiB: ten times it as bytes, text, lines and frame, and so for the next, which is read while
the last is there; four of them as numbers, of two bytes for one of text, twice, and as much packed."""
TRAIN = """
import sys
from linreg import Adam, LinearRegression
LinearRegression(Adam(0.001), epochs=1, batch_size=4096, memory=int(sys.argv[2])).fit(sys.argv[1], "y")
"""


# A process is counted from its fork on, so it is started by one that is small itself.
START = """
import os, sys
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(file: Path, *, refused: bool = False) -> int:
    """Train on a file in a process of its own; return the most memory that it had, in bytes."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-S", "-c", START, "-c", TRAIN, str(file), str(BUDGET)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert bool(done.returncode) == refused, done.stderr
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What a process has that trains on hardly any rows: Python and its libraries."""
    if not hasattr(os, "wait4"):
        pytest.skip("Windows does not tell what a process has taken")
    file = tmp_path_factory.mktemp("idle") / "rows.parquet"
    frame_of(100).write_parquet(file)
    return peak(file)


def frame_of(rows: int, features: int = 9) -> polars.DataFrame:
    """Return a frame of features and a target."""
    values = np.random.default_rng(0).normal(size=(rows, features + 1))
    return polars.DataFrame({f"x{j}": values[:, j] for j in range(features)}).with_columns(y=values[:, features])


@pytest.mark.parametrize("group", [1_000_000, 50_000])
def test_a_parquet_file_takes_the_budget_and_a_few_columns_however_long_its_row_groups_are(tmp_path, idle, group):
    file = tmp_path / "rows.parquet"
    frame_of(1_000_000, 19).write_parquet(file, row_group_size=group)
    # Never the row group as a whole. How many of its columns are there at once is a matter of when threads give them
    # back: from 39 to 107 MB were seen, of one file on one machine.
    assert peak(file) - idle <= BUDGET + 0.75 * ROW_GROUP


def test_a_csv_file_takes_the_budget_and_a_few_pieces(tmp_path, idle):
    """Its 37 MB, read at once, would take four times as much."""
    file = tmp_path / "rows.csv"
    frame_of(500_000).with_columns(polars.all().round(4)).write_csv(file)
    assert peak(file) - idle <= BUDGET + PIECES


def test_a_csv_file_with_an_open_quotation_mark_takes_a_few_pieces(tmp_path, idle):
    file = tmp_path / "rows.csv"
    with file.open("w", encoding="ascii") as opened:
        opened.write('x,y\n1,2\n"3,4\n')
        for _ in range(100):
            opened.write("1.2345,6.7891\n" * 2**16)  # 92 MB
    assert peak(file, refused=True) - idle <= PIECES
