"""Readers of packs in three languages, each one file of at most 60 lines that stands alone.

    read_pack.py     NumPy
    read_pack.cpp    C++17, its standard library
    read_pack.m      Octave 7 or MATLAB R2016b, and later ones

They lie in the wheel as they are; `amtl-cvx reference export --reader cpp` gives one out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from amtl_cvx.errors import ModelError

READERS: Mapping[str, str] = {"python": "read_pack.py", "cpp": "read_pack.cpp", "octave": "read_pack.m"}
"""The files, by what `--reader` calls them."""


def reader_text(language: str) -> str:
    """The text of a reader.

    Parameters
    ----------
    language : str
        One of `READERS`.

    Examples
    --------
    >>> from amtl_cvx.reference.readers import reader_text
    >>> len(reader_text("cpp").splitlines()) <= 60
    True
    """
    if language not in READERS:
        raise ModelError(f"--reader must be one of {', '.join(READERS)}, got {language!r}")
    return (Path(__file__).parent / READERS[language]).read_text(encoding="utf-8")
