"""Archives: a JSON document and arrays in one .npz file, under a digest of every byte of it.

An archive is what `numpy.load(file, allow_pickle=False)` opens: a zip file of uncompressed members, `document.json` and
one .npy file an array. Its last bytes, the comment of the zip file, are the SHA-256 of all bytes before them.

A file from a stranger has a right digest too, if the stranger wants it. So nothing in an archive is executed, unpacked
to disk, decompressed or looked up by a path; a member takes no more memory than it has bytes in the file, a file has at
most `LARGEST`, and whatever is not as it is written here is refused in one line.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from linreg.whole_files import write_whole

Array = Any

LARGEST, LARGEST_DOCUMENT, MOST_MEMBERS, DEEPEST = 2**30, 2**24, 2**12, 64
"""Bytes of a file, bytes of its document, members, and lists within lists of the document."""
BITS = 128
"""Of a whole number in a document: generators have such."""
DOCUMENT = "document.json"
SEAL = b"linreg sha256 "
SEALED = len(SEAL) + 64
"""Bytes of the comment at the end of a file."""
END = struct.Struct("<4s4H2LH")
"""What stands before the comment: signature, disks, numbers of members, size and place of their list, length."""
END_MARK, LARGE_MARK = b"PK\x05\x06", b"PK\x06\x07"
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(<f4|<f8|<i8|<u4|<u8)', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,10}(?:,|, \d{1,10}))?)\), \} *\n",
    re.DOTALL,
)
"""What stands before the numbers of an array: its type, and a shape of up to two dimensions."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EARLIEST = (1980, 1, 1, 0, 0, 0)


class ArchiveError(ValueError):
    """A file that is no archive, or not one that was asked for."""


def write_archive(
    path: Path, document: Mapping[str, Any], arrays: Mapping[str, Array], *, keep_previous: bool = False
) -> Path:
    """Write an archive, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    document : mapping
        Plain values; nan and infinity are refused, because JSON has none.
    arrays : mapping of str to array
        Numbers, by names of small letters, digits and underscores.
    keep_previous : bool, default=False
        As for `linreg.whole_files.write_whole`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there before is left as it was.
    ValueError
        If it would be larger than what is read again.
    """
    content = packed(document, arrays)
    return write_whole(path, lambda file: file.write_bytes(content), keep_previous=keep_previous)


def packed(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return an archive as bytes: the same ones whenever the content is the same.

    Parameters
    ----------
    document : mapping
        As for `write_archive`.
    arrays : mapping of str to array
        The same.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If it would be larger than what is read again.
    """
    _check_depth(document)
    text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    size = sum(np.asarray(array).nbytes for array in arrays.values())
    if len(text) > LARGEST_DOCUMENT or size + len(text) > LARGEST * 0.99 or len(arrays) >= MOST_MEMBERS:
        raise ValueError(
            f"{len(arrays)} arrays of {size} bytes with {len(text)} bytes of names and settings are too much for one "
            f"file: at most {MOST_MEMBERS} arrays, {LARGEST} bytes, {LARGEST_DOCUMENT} of them names and settings."
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as made:
        made.writestr(zipfile.ZipInfo(DOCUMENT, _EARLIEST), text)
        for name, array in arrays.items():
            made.writestr(zipfile.ZipInfo(f"{name}.npy", _EARLIEST), _npy(array))
        made.comment = SEAL + b"0" * 64
    content = buffer.getvalue()[:-SEALED]
    return content + _seal(content)


def _npy(array: Array) -> bytes:
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, little, (1, 0), allow_pickle=False)
    return buffer.getvalue()


def _seal(content: bytes) -> bytes:
    return SEAL + hashlib.sha256(content).hexdigest().encode()


class Archive:
    """A document and arrays that were read from a file, whose bytes are those that were written.

    Parameters
    ----------
    path : str
        The file, for errors.
    document : dict
        Its document.
    arrays : dict of str to array
        Its arrays.
    """

    def __init__(self, path: str, document: dict[str, Any], arrays: dict[str, Array]) -> None:
        self.path, self.document, self.arrays = path, document, arrays

    def refuse(self, why: str) -> NoReturn:
        """Raise the error that says what in the file is not as it should be."""
        raise _refused(self.path, why)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Refuse the file, whatever goes wrong while what it holds is made of it.

        Yields
        ------
        None
            While that is done.

        Raises
        ------
        ArchiveError
            If something goes wrong.
        """
        try:
            yield
        except (ArchiveError, ImportError):
            raise
        except Exception as error:
            raise _refused(self.path, one_line(error) or type(error).__name__) from None

    def take(self, name: Any) -> Array:
        """Return an array, once: a second value that names it would be changed with the first."""
        if not isinstance(name, str) or name not in self.arrays:
            self.refuse(f"it lacks the array {one_line(repr(name), 60)}, or names it twice")
        return self.arrays.pop(name)

    def check_all_taken(self) -> None:
        """Refuse a file with arrays that nothing in it names."""
        if self.arrays:
            self.refuse(f"it has arrays that nothing names, such as {next(iter(self.arrays))!r:.60}")

    def part(self, plain: Any, name: str) -> Any:
        """Return a part of a set of names and values, or say that it is missing."""
        if not isinstance(plain, dict) or name not in plain:
            self.refuse(f"it has no {name!r}")
        return plain[name]

    def check_names(self, plain: Any, names: Collection[str], what: str) -> None:
        """Refuse anything but a set of values with these names."""
        if not isinstance(plain, dict):
            self.refuse(f"its {what} is no set of names and values")
        absent = next((name for name in names if name not in plain), None)
        if absent is not None:
            self.refuse(f"it has no {absent!r}")
        strange = next((name for name in plain if name not in names), None)
        if strange is not None:
            self.refuse(f"its {what} has {one_line(repr(strange), 60)}, which is not known")


def read_archive(path: str | os.PathLike[str], kind: str) -> Archive:
    """Read an archive.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What its document must call itself, for example "linreg model".

    Returns
    -------
    Archive
        The document, and arrays of one's own.

    Raises
    ------
    OSError
        If it is missing, is no file, or may not be read.
    ArchiveError
        If a byte of it has changed since it was written, or it is something else.
    """
    shown = os.fspath(path)
    content = file_content(shown, LARGEST)
    body, seal = content[:-SEALED], content[-SEALED:]
    if not seal.startswith(SEAL):
        raise _refused(shown, f"it is no {kind}, or its end is missing")
    if seal != _seal(body):
        raise _refused(shown, "its bytes are not those that were written")
    try:
        document, arrays = _unpacked(content)
    except Exception as error:
        raise _refused(shown, one_line(error) or type(error).__name__) from None
    if document.get("kind") != kind:
        raise _refused(shown, f"it is a {document.get('kind')!r:.40}, not a {kind!r}")
    return Archive(shown, document, arrays)


def _refused(path: str, why: str) -> ArchiveError:
    return ArchiveError(f"{path!r} is refused: {one_line(why, 400).removesuffix('.')}.")


def one_line(words: Any, most: int = 200) -> str:
    """Return what came out of a file, or an error about it, as one line that cannot steer a terminal.

    Parameters
    ----------
    words : object
        The words.
    most : int, default=200
        Characters that are shown.

    Returns
    -------
    str
        The line; its last character is an ellipsis where something is left out.
    """
    text = str(words)
    line = " ".join(text[: 4 * most].split())
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:most])
    return shown if len(text) <= 4 * most and len(line) <= most and len(shown) <= most else f"{shown[: most - 1]}…"


def file_content(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the bytes of a file: of a file only, and no more than one may have.

    Parameters
    ----------
    path : path
        The file.
    most : int
        Bytes that it may have.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    OSError
        If it is missing, is no file, or may not be read.
    ArchiveError
        If it is larger.
    """
    path = os.fspath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path!r}.") from None
    except OSError as error:
        raise type(error)(f"{path!r} cannot be read ({error.strerror}).") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path!r} is no file but a folder, a device or a pipe: give a file.")
        if found.st_size > most:
            raise _refused(path, f"it has {found.st_size} bytes, and at most {most} are read")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(found.st_size)
    finally:
        os.close(descriptor)


def _unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    _check_end(content)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        members = opened.infolist()
        names = [member.filename for member in members]
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its members are larger than the file")
        if names[:1] != [DOCUMENT] or len(set(names)) < len(names):
            raise ValueError("its members are not those of an archive")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                raise ValueError("a member of it is compressed")
            if member.filename != DOCUMENT and not _NAME.fullmatch(member.filename.removesuffix(".npy")):
                raise ValueError(f"a member is called {member.filename!r:.60}")
        if members[0].file_size > LARGEST_DOCUMENT:
            raise ValueError(f"its document has {members[0].file_size} bytes, and at most {LARGEST_DOCUMENT} are read")
        document = json.loads(opened.read(DOCUMENT), parse_constant=_no_number, parse_float=_float, parse_int=_int)
        if not isinstance(document, dict):
            raise ValueError("its document is no set of names and values")
        _check_depth(document)
        return document, {name.removesuffix(".npy"): _array(opened.read(name)) for name in names[1:]}


def _check_end(content: bytes) -> None:
    """Refuse a list of members that is longer than any that is written, before it is read."""
    place = len(content) - SEALED - END.size
    if place < 0:
        raise ValueError("it is too short")
    mark, disk, first, here, all_of_them, size, start, length = END.unpack_from(content, place)
    if mark != END_MARK or (disk, first, length) != (0, 0, SEALED) or here != all_of_them or start + size != place:
        raise ValueError("its end is not that of an archive")
    if not 0 < here <= MOST_MEMBERS or size > 200 * here or content[place - 20 : place - 16] == LARGE_MARK:
        raise ValueError("its list of members is too long")


def _check_depth(document: Mapping[str, Any]) -> None:
    """Refuse a document in which more lists stand within each other than those who read it are ready for."""
    inside: list[Any] = [dict(document)]
    for _ in range(DEEPEST):
        inside = [
            one
            for outer in inside
            for one in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(one, dict | list | tuple)
        ]
        if not inside:
            return
    raise ValueError(f"more than {DEEPEST} lists stand within each other in its document")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"a number in its document is {text:.60}")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _int(text: str) -> int:
    number = int(text)
    return number if number.bit_length() <= BITS else _no_number(text)


def _array(npy: bytes) -> Array:
    """Return the array of a .npy file, whose header is read as it is written and in no other way."""
    found = _HEADER.match(npy)
    if found is None or 10 + int.from_bytes(found[1], "little") != found.end():
        raise ValueError("the header of an array is not one that is written")
    shape, dtype = tuple(map(int, re.findall(rb"\d+", found[3]))), np.dtype(found[2].decode())
    if math.prod(shape) * dtype.itemsize != len(npy) - found.end():
        raise ValueError(f"an array of shape {shape} has {len(npy) - found.end()} bytes")
    return np.frombuffer(npy, dtype, offset=found.end()).reshape(shape).astype(dtype.newbyteorder("="))
