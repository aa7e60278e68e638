"""To watch the mathematics move: every number of a step, pictures, animations and a page, on anybody's data.

`trace` keeps every quantity of some steps of a run (`tape`, `watching`, `traces`). The rest draws: `figures` holds what
all pictures share.
"""

from linreg.study.figures import (
    COLOURS,
    DASHES,
    draw_lines,
    draw_losses,
    new_figure,
    picture_path,
    save,
)
from linreg.study.traces import Quantity, Step, Trace, trace

__all__ = [
    "COLOURS",
    "DASHES",
    "Quantity",
    "Step",
    "Trace",
    "draw_lines",
    "draw_losses",
    "new_figure",
    "picture_path",
    "save",
    "trace",
]
