"""Training on rows that do not fit into memory: they come window by window, read ahead while the last are trained on.

The hot loop, and everything else of a run, is that of the engine (`linreg.training`, `linreg.compiled`); here rows are
laid out for it. A window is a whole number of batches, so batches are the same as in memory, and so is every bit.
`plans` shares out the memory, `rows` checks values, `feeds` brings windows or batches, `runs` trains on them, and
`fitting` is what `LinearRegression.fit` calls.
"""

from linreg.streaming.feeds import order

__all__ = ["order"]
