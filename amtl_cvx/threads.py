"""BLAS on one thread, for a while.

Matrices here are many and small, and on a busy machine threads that wait for each other cost more than they
give. To look for the BLAS libraries of a process takes ten milliseconds, as long as a small fit: it is done
once, as the package loads, when NumPy and SciPy have loaded theirs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np  # noqa: F401
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

_BLAS = ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """The context in which BLAS has one thread."""
    found: AbstractContextManager[object] = _BLAS.limit(limits=1, user_api="blas")
    return found
