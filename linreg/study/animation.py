"""The run as a moving picture: the path on the loss and the fitted line, step by step, by matplotlib's writers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from linreg.study.figures import COLOURS, new_figure
from linreg.study.maps import draw_contours, span
from linreg.study.subject import Subject
from linreg.whole_files import file_path, write_whole

Array = Any

FORMATS = (".gif", ".mp4")
FRAMES = 48
STEPS = 2000
"""Steps of the run that are shown at most."""
PER_SECOND = 8
LAST = 12
"""Frames for which the end stays."""


def animation_path(path: str | os.PathLike[str]) -> Path:
    """Check, before any work is done, that an animation can go to this path.

    Parameters
    ----------
    path : path
        Where it is wanted.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    ValueError
        If it ends neither in .gif nor in .mp4.
    ImportError
        If matplotlib, or for .mp4 the program ffmpeg, is missing.
    OSError
        If the folder is missing.
    """
    target = file_path(path, "run.gif")
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise ValueError(f"An animation is written as {' or '.join(FORMATS)}, got {target.name!r}: change its ending.")
    new_figure(1, "")
    if ending == ".mp4":
        from matplotlib.animation import FFMpegWriter

        if not FFMpegWriter.isAvailable():
            raise ImportError(
                "An .mp4 is written by the program ffmpeg, which is missing: install it, or write a .gif."
            )
    return target


FAR = 1e6
"""A run whose loss is this many times its start is followed no further."""


def frames_of(steps: int) -> Array:
    """Return after which steps there is a frame: after each of the first, then further and further apart."""
    later: Array = np.geomspace(1, steps, FRAMES).round() if steps else []
    return np.unique(np.concatenate([[0], later]).astype(int))


def animate(subject: Subject, path: str | os.PathLike[str], after_each: Callable[[str], None] = lambda _: None) -> Path:
    """Write the run as an animation, whole or not at all.

    Parameters
    ----------
    subject : Subject
        What is studied.
    path : path
        The file, .gif or .mp4.
    after_each : callable, optional
        Called with what was done, once a frame.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError, ImportError or OSError
        See `animation_path`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from linreg import LinearRegression, study
    >>> model = LinearRegression(epochs=3, random_state=0)
    >>> subject = study.Subject(np.array([[-3.0], [3.0]]), np.array([-5.0, 7.0]), ["x"], "y", model)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study.animate(subject, Path(folder) / "run.gif").read_bytes()[:4]
    b'GIF8'
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    target = animation_path(path)
    walked = subject.path(most=min(STEPS, subject.steps))
    walked = walked[: _leaves(subject, walked)]
    frames = frames_of(len(walked) - 1)
    kind = PillowWriter if target.suffix.lower() == ".gif" else FFMpegWriter
    figure, show = film(subject.drawn, walked)

    def write(file: Path) -> None:
        writer = kind(fps=PER_SECOND)
        named = file.with_name(f"{file.name}{target.suffix}")  # the writers choose their format by the ending
        try:
            with writer.saving(figure, str(named), dpi=90):
                for step in [*frames, *[frames[-1]] * LAST]:
                    show(int(step))
                    writer.grab_frame()
                    after_each(f"step {step}")
            named.replace(file)
        finally:
            named.unlink(missing_ok=True)

    return write_whole(target, write)


def _leaves(subject: Subject, walked: Array) -> int:
    """Return after how many points a run that diverges has left every picture; all of them where it does not."""
    with np.errstate(all="ignore"):
        heights = np.asarray(subject.problem.objective(walked.T), np.float64)
    far = np.flatnonzero(~(heights <= FAR * max(heights[0], subject.least, 1e-300)))
    return max(2, int(far[0]) + 1) if len(far) else len(walked)


def film(subject: Subject, walked: Array) -> tuple[Any, Callable[[int], None]]:
    """Return a figure and a function that shows in it how the run stands after a step.

    Parameters
    ----------
    subject : Subject
        What is studied.
    walked : array of shape (steps + 1, parameters)
        The path of the run.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure.
    show : callable
        Takes a number of steps.
    """
    plane = subject.plane
    places = plane.of(walked)
    figure, (left, right) = new_figure(2, "")
    figure.set_size_inches(12, 5.4)
    low, high = span(np.concatenate([places, [plane.at]]))
    draw_contours(figure, left, subject, plane, low, high)
    left.set_title(subject.projection, fontsize=10)
    (trail,) = left.plot([], [], color=COLOURS[0], linewidth=1.5, marker="o", markersize=3)
    (head,) = left.plot([], [], linestyle="", marker="D", markersize=9, color=COLOURS[1], markeredgecolor="black")
    with np.errstate(all="ignore"):
        losses = subject.problem.objective(walked.T)
    follow = _line(subject, right, walked) if subject.X.shape[1] == 1 else _loss(subject, right, losses)

    def show(step: int) -> None:
        trail.set_data(*places[: step + 1].T)
        head.set_data(*places[[step]].T)
        follow(step)
        figure.suptitle(f"{subject.optimizer!r}, {subject.target}: step {step}, loss {losses[step]:.4g}")

    show(0)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # nothing moves from frame to frame but what is shown
    return figure, show


def _line(subject: Subject, axes: Any, walked: Array) -> Callable[[int], None]:
    """Draw the data of a single feature; the line follows."""
    x = subject.problem.matrix
    order = np.argsort(x[:, 0], kind="stable")[[0, -1]]
    axes.plot(x[:, 0], subject.y, linestyle="", marker="o", markersize=4, color="0.5", label="data")
    (line,) = axes.plot([], [], color=COLOURS[1], linewidth=2.5, label="fitted line")
    room = 0.15 * float(np.ptp(subject.y)) or 1.0
    axes.set(xlabel=subject.feature_label(subject.names[0]), ylabel=subject.target,
             ylim=(float(subject.y.min()) - room, float(subject.y.max()) + room))  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")

    def follow(step: int) -> None:
        line.set_data(x[order, 0], x[order] @ walked[step])

    return follow


def _loss(subject: Subject, axes: Any, losses: Array) -> Callable[[int], None]:
    """Draw the loss by step; it grows."""
    (line,) = axes.plot([], [], color=COLOURS[0], marker="o", markersize=3)
    seen = losses[np.isfinite(losses)]
    axes.set(xlabel="step", ylabel=f"loss on all rows ({subject.loss_unit})",
             xlim=(0, max(len(losses) - 1, 1)))  # fmt: skip
    if (seen > 0).all():
        axes.set(yscale="log", ylim=(float(seen.min()) / 1.3, float(seen.max()) * 1.3))
    axes.grid(alpha=0.3)

    def follow(step: int) -> None:
        line.set_data(np.arange(step + 1), losses[: step + 1])

    return follow
