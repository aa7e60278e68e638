"""Small charts as SVG inside a page: axes, lines, dots, bars. Everything that is text is escaped here.

Colours come from the page's style sheet: series are classes s0, s1, ..., so that light and dark pages both work.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from linreg.diagnosis.evidence import printable

Array = Any
WIDTH = 720.0
TICKS = 8
CHARACTER = 6.6
"""Width of a character of the charts' font, about."""


def escaped(text: object) -> str:
    """Return text as HTML shows it, whatever stands in it.

    Parameters
    ----------
    text : object
        Text, maybe out of a file.

    Returns
    -------
    str
        Without control characters and markup.
    """
    return html.escape(printable(str(text)))


def cut(text: str, length: int = 18) -> str:
    """Return text that fits beside a chart.

    Parameters
    ----------
    text : str
        The text.
    length : int, default=18
        Most characters.

    Returns
    -------
    str
        The text, with an ellipsis where something is left out.
    """
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


@dataclass(frozen=True)
class Scale:
    """Values along one axis of a chart.

    Parameters
    ----------
    low, high : float
        The ends in values.
    start, end : float
        The ends in the chart.
    log : bool
        Whether it is logarithmic; the ends are positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Any, start: float, end: float, *, log: bool = False, room: float = 0.05) -> Self:
        """Return the scale that holds all finite values.

        Parameters
        ----------
        values : array
            The values; those that are not finite, and on a logarithmic scale not positive, do not count.
        start, end : float
            The ends in the chart.
        log : bool, default=False
            Whether it is logarithmic.
        room : float, default=0.05
            Share of its length that is left free at both ends.

        Returns
        -------
        Scale
            The scale.
        """
        array = np.asarray(values, np.float64).reshape(-1)
        array = array[np.isfinite(array) & ((array > 0) | (not log))]
        inner = (np.log10(array) if log else array) if len(array) else np.array([0.0, 1.0])
        low, high = float(inner.min()), float(inner.max())
        if high - low < 1e-9 * max(abs(low), abs(high), 1.0):
            low, high = low - 0.5, high + 0.5
        low, high = low - room * (high - low), high + room * (high - low)
        return cls(10 ** max(low, -307), 10 ** min(high, 308), start, end, log) if log else cls(low, high, start, end)

    def at(self, values: Any) -> Any:
        """Return where values lie in the chart.

        Parameters
        ----------
        values : array
            The values.

        Returns
        -------
        array
            Places of the same shape, cut at the ends of the axis.
        """
        array = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.log:
            array, low, high = np.log10(np.maximum(array, self.low)), math.log10(low), math.log10(high)
        return self.start + (np.clip(array, low, high) - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values to mark."""
        if self.log:
            low, high = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            if high - low >= 2:
                return [10.0**power for power in range(low, high + 1, math.ceil((high - low + 1) / TICKS))]
            fine = [step * 10.0**power for power in range(low - 1, high + 1) for step in (1, 2, 5)]
            return [value for value in fine if self.low <= value <= self.high]
        span = (self.high - self.low) / (TICKS - 2)
        power = 10.0 ** math.floor(math.log10(span))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= span * (1 - 1e-9))
        first = math.ceil(self.low / step)
        return [step * i for i in range(first, math.floor(self.high / step) + 1)]


@dataclass
class Chart:
    """An SVG picture that grows by what is drawn into it.

    Parameters
    ----------
    title : str
        What it shows, for those who cannot see it.
    height : float
        Its height; its width is 720.
    parts : list of str
        What has been drawn, as SVG.
    """

    title: str
    height: float
    parts: list[str] = field(default_factory=list)

    def svg(self) -> str:
        """Return the picture as SVG."""
        head = f'<svg viewBox="0 0 {WIDTH:g} {self.height:g}" role="img"><title>{escaped(self.title)}</title>'
        return "\n".join([head, *self.parts, "</svg>"])

    def text(self, x: float, y: float, words: str, *, kind: str = "", anchor: str = "start", hint: str = "") -> None:
        """Write words; `hint` shows when one points at them."""
        classes = f' class="{kind}"' if kind else ""
        more = f"<title>{escaped(hint)}</title>" if hint else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{classes}>{escaped(words)}{more}</text>'
        )

    def beside(self, x: float, y: float, words: str) -> None:
        """Write words beside a dot, on whichever side there is room."""
        left = x + 12 + CHARACTER * len(words) > WIDTH
        self.text(x - 10 if left else x + 10, y + 4, words, kind="named", anchor="end" if left else "start")

    def line(self, x: Iterable[float], y: Iterable[float], kind: str) -> None:
        """Draw a line through points."""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        self.parts.append(f'<polyline class="line {kind}" points="{points}"/>')

    def dot(self, x: float, y: float, kind: str, *, size: float = 4, hint: str = "") -> None:
        """Draw a dot."""
        more = f"<title>{escaped(hint)}</title>" if hint else ""
        self.parts.append(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}">{more}</circle>')

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, style: str = "", hint: str = ""
    ) -> None:
        """Draw a rectangle."""
        more = f"<title>{escaped(hint)}</title>" if hint else ""
        styled = f' style="{style}"' if style else ""
        where = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect class="{kind}"{styled} {where}>{more}</rect>')

    def turned(self, x: float, y: float, words: str) -> None:
        """Write words that end at a place below a column, turned so that long ones fit."""
        place = f"translate({x:.1f} {y:.1f}) rotate(-60)"
        self.parts.append(f'<text transform="{place}" text-anchor="end">{escaped(words)}</text>')

    def up(self, x: float, y: float, kind: str, hint: str) -> None:
        """Draw an arrow head that points up: something leaves the picture here."""
        points = f"{x - 6:.1f},{y + 11:.1f} {x:.1f},{y:.1f} {x + 6:.1f},{y + 11:.1f}"
        self.parts.append(f'<polygon class="dot {kind}" points="{points}"><title>{escaped(hint)}</title></polygon>')

    def x_axis(self, scale: Scale, top: float, bottom: float, words: str) -> None:
        """Draw the horizontal axis, with a grid up to `top`."""
        for value in scale.ticks():
            place = float(scale.at(value))
            self.line((place, place), (top, bottom), "grid")
            self.text(place, bottom + 16, f"{value:.4g}", anchor="middle")
        self.text((scale.start + scale.end) / 2, bottom + 34, words, kind="axis", anchor="middle")

    def y_axis(self, scale: Scale, left: float, right: float, words: str) -> None:
        """Draw the vertical axis, with a grid up to `right`; what it shows stands above it."""
        for value in scale.ticks():
            place = float(scale.at(value))
            self.line((left, right), (place, place), "grid")
            self.text(left - 6, place + 4, f"{value:.4g}", anchor="end")
        self.text(left - 6, min(scale.start, scale.end) - 10, words, kind="axis")
