"""A file as a polars table; what is wrong with a file is said in one line."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from linreg.data import csv_files, datasets
from linreg.data.array_files import ENDINGS
from linreg.data.csv_files import shown_name
from linreg.data.csv_types import Types
from linreg.hyperparameters import nearest

if TYPE_CHECKING:
    import polars

FRAMES = {".parquet": "scan_parquet", ".feather": "scan_ipc", ".arrow": "scan_ipc", ".ipc": "scan_ipc"}
"""Names of files that hold a table with types, and what reads them."""
OF_A_CHUNK = 120
"""About so many bytes tell where one column of one row group of a Parquet file lies, beside its name."""
MOST_SHOWN = 200
"""So many characters of a path that cannot be opened are shown."""


def read_table(file: str | os.PathLike[str], *, any_separator: bool = False) -> polars.DataFrame:
    """Read a Parquet or Arrow file, or a CSV file with a header line: values between commas, text in UTF-8.

    Blank lines are skipped, and lines that start with `#` unless they have one value for each column. Spaces around
    names and numbers do not count. Empty cells (also NA, N/A, NaN and null) become nulls, which training refuses with
    their place. A column's type comes from all of its rows.

    Parameters
    ----------
    file : str or path
        The file; Parquet and Arrow are told by their names (.parquet, .arrow, .feather, .ipc). Where there is none of
        that name, the bare name of a data set that ships with linreg ("longley", "norris", "stackloss").
    any_separator : bool, default=False
        Take semicolons, tabs or bars between values too, whichever the header has most of. Then "1,5" is text.

    Returns
    -------
    polars.DataFrame
        At least one row, and a name of its own for every column.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing (FileNotFoundError), is a directory (IsADirectoryError) or may not be read.
    ValueError
        If it is no text, is empty, has no rows, has rows of different lengths, or has columns without names of their
        own.
    """
    file = os.fspath(file)
    if Path(file).suffix.lower() in FRAMES:
        frame = collected(scan(file), repr(file))
        if not frame.height:
            raise ValueError(f"{file!r} has column names but no rows: add one line for each row.")
        return frame
    layout = csv_files.Layout()
    frames = list(csv_frames(file, layout, any_separator=any_separator))
    import polars

    frame, types = polars.concat(frames), Types()
    types.look(frame, layout)
    return types.read(frame)


def csv_frames(file: str, layout: csv_files.Layout, *, any_separator: bool) -> Iterator[polars.DataFrame]:
    """Yield the rows of a CSV file, or of a data set that ships with linreg, as frames of text.

    Parameters
    ----------
    file : str
        The file.
    layout : Layout
        What is found out about it is put there.
    any_separator : bool
        Take semicolons, tabs or bars between values too.

    Yields
    ------
    polars.DataFrame
        Some rows; see `linreg.data.csv_files.frames`.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing or may not be read.
    ValueError
        If it is no such file.
    """
    require_polars()
    return csv_files.frames(require_file(file), file, layout, any_separator=any_separator)


def scan(file: str) -> polars.LazyFrame:
    """Return the table in a Parquet or Arrow file as a query: nothing but its columns is read.

    Parameters
    ----------
    file : str
        The file.

    Returns
    -------
    polars.LazyFrame
        The query.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing (FileNotFoundError), is a directory (IsADirectoryError) or may not be read.
    ValueError
        If it is no such file.
    """
    require_polars()
    import polars

    place = require_file(file)
    how = FRAMES[place.suffix.lower()]
    try:
        # The path is taken as it stands: scan_ipc of polars 1 has no `glob`.
        table: polars.LazyFrame = (
            polars.scan_parquet(place, glob=False)
            if how == "scan_parquet"
            else polars.scan_ipc(glob.escape(os.fspath(place)))
        )
        names = list(table.collect_schema())
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise ValueError(
            f"{file!r} cannot be read (polars says: {_reason(error)}): give a Parquet, Arrow or CSV file."
        ) from None
    if not names:
        raise ValueError(f"{file!r} has no columns: expected features and a target.")
    return table


def rows_of_a_group(file: str, rows: int, names: Sequence[str]) -> int:
    """Return about how many rows stand together in a Parquet file.

    Every column of every row group takes some 80 to 200 bytes of the footer, beside its name
    (https://parquet.apache.org/docs/file-format/metadata/), and polars does not tell how many groups there are.

    Parameters
    ----------
    file : str
        The file, which polars can read.
    rows : int
        All of its rows.
    names : sequence of str
        Its columns.

    Returns
    -------
    int
        From 1 to all.
    """
    with open(file, "rb") as opened:
        opened.seek(-8, os.SEEK_END)
        footer = int.from_bytes(opened.read(4), "little")
    groups = footer // sum(OF_A_CHUNK + len(name.encode()) for name in names)
    return -(-rows // max(1, groups))


def collected(query: polars.LazyFrame, label: str, *, of_file: bool = True) -> polars.DataFrame:
    """Return what a query gives.

    Parameters
    ----------
    query : polars.LazyFrame
        The query.
    label : str
        What to call its file in errors.
    of_file : bool, default=True
        Whether it reads a file and does nothing else.

    Returns
    -------
    polars.DataFrame
        The rows.

    Raises
    ------
    ValueError
        If the file is damaged, or the query fails.
    """
    with readable(label, of_file=of_file):
        return query.collect()


@contextmanager
def readable(label: str, *, of_file: bool = True) -> Iterator[None]:
    """Say in one line what polars says of a query, or finds in a damaged file as late as when it makes NumPy's arrays.

    Parameters
    ----------
    label : str
        What to call its file in errors.
    of_file : bool, default=True
        Whether it reads a file and does nothing else.

    Yields
    ------
    None
        The query is to be run inside.

    Raises
    ------
    ValueError
        If polars gives up.
    """
    import polars

    try:
        yield
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        do = "the file is damaged, make it anew" if of_file else "correct the query"
        raise ValueError(f"{label} cannot be read (polars says: {_reason(error)}): {do}.") from None


def require_file(file: str) -> Path:
    """Return where a file lies; that of a data set that ships with linreg if there is none of that name.

    Parameters
    ----------
    file : str
        The file.

    Returns
    -------
    pathlib.Path
        Its place.

    Raises
    ------
    OSError
        If it is missing (FileNotFoundError), is a directory (IsADirectoryError) or may not be read.
    ValueError
        If it is a pipe or a device, which could be waited for forever.
    """
    place = Path(file)
    if not file:
        raise ValueError("The name of the file is empty: give the path of a CSV, Parquet or Arrow file.")
    try:
        mode = place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if file in datasets.NAMES:
            return datasets.path(file)
        raise FileNotFoundError(
            f"There is no file {file!r}: give the path of a CSV, Parquet or Arrow file, or the name of a data set that "
            f"ships with linreg ({', '.join(datasets.NAMES)})."
        ) from None
    except PermissionError:
        raise PermissionError(f"{file!r} may not be read: change the permissions of its folder.") from None
    except OSError as error:
        shown = file if len(file) < MOST_SHOWN else f"{file[:MOST_SHOWN]}..."
        raise OSError(f"{shown!r} cannot be opened ({error.strerror}): give the path of a file.") from None
    if stat.S_ISDIR(mode):
        inside = os.path.join(file, f"*{_ending_in(place)}")
        raise IsADirectoryError(f"{file!r} is a directory: give the path of one file, or `fit` a pattern: {inside}.")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{file!r} is a pipe or a device: write what comes out of it into a file first.")
    if not os.access(place, os.R_OK):
        raise PermissionError(f"{file!r} may not be read: change its permissions.")
    return place


def _ending_in(folder: Path) -> str:
    """Return the ending of most tables in a folder; that of its own name, or .csv, if there are none."""
    found: Counter[str] = Counter()
    with suppress(OSError):
        found.update(one.suffix for one in folder.iterdir() if one.suffix.lower() in {".csv", *FRAMES, *ENDINGS})
    return found.most_common(1)[0][0] if found else folder.suffix or ".csv"


def require_polars() -> None:
    """Raise ImportError, with the extra that brings it, if polars is not installed."""
    try:
        import polars  # noqa: F401 (only asks whether it is there)
    except ImportError:
        raise ImportError("Reading a table needs polars, which is not installed: pip install 'linreg[data]'.") from None


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or ["it is no such file"])[0].rstrip(".")


def require_column(name: str, names: Sequence[str]) -> None:
    """Raise ValueError, with the nearest name, if a table has no such column."""
    if name not in names:
        raise ValueError(f"The table has no column {name!r}{nearest(name, map(shown_name, names))}.")
