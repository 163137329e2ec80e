"""A log on disk as lines of text, whatever happened to the file on its way to a submission.

Published logs came through Windows, editors, transfers and full disks: CRLF, bare CR, NUL bytes, bytes that are no
UTF-8. They are read all the same, and what was found is said, since upstream's scripts crash on some of it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..errors import RecordError

#: As Python's text mode and so upstream's scripts have it; str.splitlines would break at form feeds and others, too.
_LINE_END = re.compile(r"\r\n|\r|\n")
_SHOWN = 80


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What is odd about the bytes of a log. None of it changes what the log says."""

    crlf: bool = False
    bare_cr: bool = False
    nul: bool = False
    non_utf8: bool = False

    def __str__(self) -> str:
        """Name what was found, for a note: 'CRLF line ends, NUL bytes'; empty where nothing was."""
        found = {
            "CRLF line ends": self.crlf,
            "bare CR line ends": self.bare_cr,
            "NUL bytes": self.nul,
            "bytes that are no UTF-8": self.non_utf8,
        }
        return ", ".join(name for name, there in found.items() if there)


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a log without their ends. `cut` is the last line where it has no end, else empty."""

    lines: list[str]
    cut: str
    quirks: Quirks


def read(path: Path, limit_bytes: int) -> bytes | None:
    """Return a file's bytes, None where there is no such file.

    Raises RecordError for what is no plain file, is larger than `limit_bytes`, or cannot be read.
    """
    try:
        return read_plain(path, limit_bytes)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(
            f"{path}: cannot be read ({error.strerror}); mend its permissions or fetch it anew"
        ) from error


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """Return the bytes of a plain file. Raises as `open_plain` does.

    As many are asked for as there are: room for `limit_bytes` would be made anew for each of thousands of files.
    """
    with open_plain(path, limit_bytes) as file:
        size = os.fstat(file.fileno()).st_size
        return file.read(min(size or limit_bytes, limit_bytes))


def open_plain(path: Path, limit_bytes: int | None = None) -> BinaryIO:
    """Open a file to read, without waiting for the writer of a named pipe.

    Raises RecordError for what is no plain file or is larger than `limit_bytes`, OSError as opening does.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    try:
        _require_plain(path, file.fileno(), limit_bytes)
    except RecordError:
        file.close()
        raise
    return file


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _require_plain(path: Path, descriptor: int, limit_bytes: int | None) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise RecordError(f"{path}: is no plain file; put the log itself there")
    if limit_bytes is not None and status.st_size > limit_bytes:
        raise RecordError(
            f"{path}: has {status.st_size} bytes, and no such log of LoadGen has more than {limit_bytes}; "
            "put the log itself there"
        )


def text_of(data: bytes) -> Text:
    """Return the lines of a log. NUL bytes around a line are dropped, a byte order mark as well."""
    try:
        text, non_utf8 = data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        text, non_utf8 = data.decode("utf-8-sig", "replace"), True
    nul = "\0" in text
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    if nul:
        lines = [line.strip("\0") for line in lines]
    return Text(
        lines=lines[:-1],
        cut=lines[-1],
        quirks=Quirks(crlf="\r\n" in text, bare_cr="\r" in text.replace("\r\n", ""), nul=nul, non_utf8=non_utf8),
    )


def quoted(line: str) -> str:
    """Return a line for a message: quoted, control characters escaped, not too long."""
    line = line.strip()
    return ascii(line if len(line) <= _SHOWN else line[:_SHOWN] + "...")
