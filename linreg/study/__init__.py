"""To watch the mathematics move: every number of a step, pictures, animations and a page, on anybody's data.

`trace` keeps every quantity of some steps of a run (`tape`, `watching`, `seen`, `formulas`, `traces`). A `Subject` is
somebody's data and a run on them; `pictures` draws it, `maps` the loss over its parameters, `animation` films it,
`page` makes an interactive page of it (`choices` runs what can be chosen there, `bad_inputs` what is known to go
wrong). `figures` holds what all pictures share.
"""

from linreg.study.animation import animate
from linreg.study.figures import (
    COLOURS,
    DASHES,
    draw_lines,
    draw_losses,
    new_figure,
    picture_path,
    save,
)
from linreg.study.pictures import PICTURES, draw
from linreg.study.subject import Compared, Subject
from linreg.study.traces import Quantity, Step, Trace, trace

__all__ = [
    "COLOURS",
    "DASHES",
    "PICTURES",
    "Compared",
    "Quantity",
    "Step",
    "Subject",
    "Trace",
    "animate",
    "draw",
    "draw_lines",
    "draw_losses",
    "new_figure",
    "picture_path",
    "save",
    "trace",
]
