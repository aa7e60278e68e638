"""What other libraries and the papers do where tf.keras does something one would not guess.

`python -m benchmarks.dialects docs/tf-keras/run.json` tests every claim of `linreg.keras.behaviours` on the TensorFlow
that is installed, gives the same few numbers to linreg, PyTorch, optax and others where they are installed, and trains
one line by "Adam, lr 0.1, epsilon 1e-3" in all of them. `python -m benchmarks.dialects.report` makes docs/tf-keras.md
of it.
"""
