"""`engine="numba"`: the same formulas, compiled.

`formulas` compiles rules, losses and penalties as they stand, `loops` is the loop around them and `columns` the part of
it that trains many models at once, `kernels` puts them together, `binding` and `layout` turn a run into plain numbers,
and `run` drives them. Only `run` is imported from outside, and only when a run asks for it.
"""

from __future__ import annotations

from typing import Any


def numba_run() -> Any:
    """Return `linreg.compiled.run.NumbaRun`.

    Returns
    -------
    type
        The class.

    Raises
    ------
    ImportError
        If Numba is missing or cannot work with what else is installed.
    """
    try:
        from linreg.compiled.run import NumbaRun
    except ImportError as error:
        raise ImportError(
            f"engine=\"numba\" needs Numba, which cannot be imported ({error}): pip install 'linreg[fast]', or set "
            'engine="numpy".'
        ) from None
    return NumbaRun
