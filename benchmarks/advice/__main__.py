"""`python -m benchmarks.advice docs/advice.json`: make every run in tf.keras, and keep what was seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.advice import runs
from benchmarks.advice.claims import CLAIMS
from benchmarks.installed import versions
from linreg.json_files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advice", description=__doc__)
    parser.add_argument("file", type=Path, help="where to write the runs")
    arguments = parser.parse_args()
    kept = [
        {"claim": claim.name, "run": trial.name, **runs.in_keras(trial).to_dict()}
        for claim in CLAIMS
        for trial in claim.trials
    ]
    made_with = versions(("numpy", "tensorflow_cpu", "tensorflow", "keras"))
    document = {"kind": runs.KIND, "versions": made_with, "runs": kept}
    write_json(document, arguments.file)
    print(f"{len(kept)} runs of {len(CLAIMS)} claims: {arguments.file}")


if __name__ == "__main__":
    main()
