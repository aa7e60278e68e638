"""Common advice on rising losses, checked: each claim as a few runs, made in NumPy and in tf.keras.

`claims` says what is claimed and how runs decide it; `runs` makes them. `python -m benchmarks.advice docs/advice.json`
makes those of tf.keras and keeps them for docs/advice.md, which makes those of NumPy itself when it is built.
"""
