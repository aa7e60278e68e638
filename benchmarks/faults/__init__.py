"""A bench of runs whose fault is known, to score diagnoses with: `python -m benchmarks.faults --summary`.

`generator.cases` makes the runs, `cases.truth` says what is true of one, `criteria.md` says what counts as a cause.
Nothing here reads the diagnosis.
"""
