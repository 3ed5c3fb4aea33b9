r"""The console: every line that a command prints goes through here.

    say(*lines)          results, on stdout
    emit(text)           data, on stdout: as they are, but on a terminal without what would steer it
    note(text)           a line on stderr
    streams()            what stdout and stderr are while a command runs

Names of files, columns and tasks come from anywhere. A terminal obeys what stands in a line, so control
characters, among them the escape of a terminal and those that turn the direction of text, are shown as
``\x1b``; a line on stderr is one line, and a long one is shortened in its middle.

A stream may be closed (a service, cron, ``>&-``) or full. What stderr cannot take is dropped: no message is
worth a fit. A reader of stdout that has left wants no more, which is no failure. Results that stdout cannot
take are a `DataError`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from amtl_cvx.errors import DataError

MAX_LINE = 500
"""Characters of a line on stderr."""
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what steers a terminal; line breaks and tabs are such characters too."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """A message as one clean line of at most `MAX_LINE` characters."""
    line = clean(" ".join(text.split()))
    if len(line) <= MAX_LINE:
        return line
    kept = MAX_LINE - len(" ... ")
    return f"{line[: kept - kept // 3]} ... {line[-(kept // 3) :]}"


def say(*lines: str) -> None:
    """Results, line by line; `DataError` where stdout does not take them."""
    emit("".join(f"{clean(line)}\n" for text in lines for line in text.split("\n")), styled=True)


def emit(text: str, *, styled: bool = False) -> None:
    """A text to stdout; on a terminal it is cleaned, unless it is `styled` on purpose."""
    stream = sys.stdout
    if stream.isatty() and not styled:
        text = "\n".join(clean(line) for line in text.split("\n"))
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _abandon(stream)
    except OSError as error:
        _abandon(stream)
        raise DataError(f"cannot write to standard output: {error.strerror}: send it elsewhere") from error


def note(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{one_line(text)}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Give stdout and stderr what `say` and `note` expect of them, for a while."""
    for number in range(3):  # else the next file that is opened is what a library takes for stdout
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out, err = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere if out is None or out.closed else out
        sys.stderr = _Dropping(nowhere if err is None or err.closed else err)
        if isinstance(out, io.TextIOWrapper) and not out.closed:
            out.reconfigure(errors="backslashreplace")  # a name that it cannot show is no failure
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, err


class Log(logging.Handler):
    """Shows each distinct message of the package once, on what stderr is at that moment."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        if line not in self._shown:
            self._shown.add(line)
            note(line)


class _Dropping(io.TextIOBase):
    """A stream that drops what it cannot write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def write(self, text: str, /) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            _abandon(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            _abandon(self._stream)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def _abandon(stream: TextIO) -> None:
    """Let what a stream of this process still holds go nowhere, also when the interpreter ends."""
    if stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
