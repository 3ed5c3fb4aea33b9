"""Figures look the same whatever the user's matplotlib is set to; only the families of fonts are the user's.

They need no backend, so neither does importing matplotlib here: MPLBACKEND, which notebooks leave in the
environment of the commands they start, may name one that is not installed, and then the import fails. This
module is the first to import matplotlib, keeps the variable out of its sight, and hands on what is valid.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, cast

_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
_settings = cast("dict[str, Any]", matplotlib.rcParams)
if _backend:
    with contextlib.suppress(ValueError):
        _settings["backend"] = _backend

_FONTS = (
    "font.family", "font.serif", "font.sans-serif", "font.cursive", "font.fantasy", "font.monospace"
)  # fmt: skip
"""What is kept of the user's settings: the way to names in Chinese, Japanese or Korean."""


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """matplotlib's defaults for a while, as a decorator for as long as a function runs."""
    kept = {name: _settings[name] for name in _FONTS}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        _settings.update(kept)
        yield
