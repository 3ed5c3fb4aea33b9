"""Back ends that are wrong in one place, each a small change of `dense`, and the true cause by its name.

`formulas` change J or a derivative, `prices` what an edge costs, `data` what the rows or weights are,
`steps` how a step is solved, `answers` what is handed back, `conduct` how a back end behaves when it is
called; `programs` are executables.
"""

from __future__ import annotations

from backends.broken import answers, conduct, data, formulas, prices, steps
from backends.broken.listed import BROKEN, PACKS, Broken, listed

__all__ = ["BROKEN", "PACKS", "Broken", "answers", "conduct", "data", "formulas", "listed", "prices", "steps"]
