"""What is asked of a user's function before it becomes a term of J: errors in one line that name it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any, TypeVar

import cvxpy as cp
import numpy as np
from cvxpy.atoms.atom import Atom
from cvxpy.expressions.leaf import Leaf

from amtl_cvx.errors import ModelError

KEPT = 16
"""Functions of which what was made is kept."""
Found = TypeVar("Found")


def called(function: Callable[..., Any], given: Mapping[str, cp.Expression]) -> cp.Expression:
    """What the function returns, a CVXPY scalar; `ModelError` for anything else."""
    name = f"{function.__name__}({', '.join(given)})"
    try:
        found = function(*given.values())
    except Exception as error:  # whatever the function of somebody else does
        raise ModelError(f"{name} raises {type(error).__name__}: {error}") from error
    if not isinstance(found, cp.Expression):
        raise ModelError(f"{name} must return a CVXPY expression, it returns {found!r:.60}")
    if found.size != 1:
        raise ModelError(f"{name} must be one number, it has the shape {found.shape}: sum it")
    return found if found.shape == () else cp.sum(found)


def short(found: cp.Expression) -> str:
    """An expression in one line."""
    words = " ".join(str(found).split())
    return words if len(words) <= 90 else f"{words[:90]}..."


def check_alone(found: cp.Expression, leaves: set[Leaf], name: str) -> None:
    """Raise `ModelError` for leaves of the function's own, and for what hides a constraint."""
    others = [leaf for leaf in (*found.variables(), *found.parameters()) if leaf not in leaves]
    if others:
        raise ModelError(f"{name} must have no variable or parameter of its own, it has {others[0]}")
    odd = [node for node in _nodes(found) if not isinstance(node, Atom | Leaf)]
    limits = [] if odd else [each for each in found.domain if not _holds(each)]
    if odd or limits:
        raise ModelError(
            f"{name} is not defined everywhere, which hides a constraint: {str((odd + limits)[0])[:60]};"
            " a feasible set needs a class (guide, Extend)"
        )


def _nodes(found: cp.Expression) -> list[Any]:
    return [found, *(node for each in getattr(found, "args", []) for node in _nodes(each))]


def _holds(limit: cp.Constraint) -> bool:
    """Whether a constraint ``expression <= 0`` holds by its sign alone."""
    return isinstance(limit, cp.constraints.Inequality) and bool(limit.expr.is_nonpos())


def check_finite(found: cp.Expression, what: str) -> None:
    """Raise `ModelError` unless the value of an expression is finite and >= 0."""
    with np.errstate(all="ignore"):
        value = found.value
    if value is None or not np.isfinite(value) or float(value) < 0.0:
        raise ModelError(f"{what} must be finite and >= 0, it is {value}")


def kept_by_thread(make: Callable[..., Found]) -> Callable[..., Found]:
    """The last `KEPT` answers, each thread's by itself: those of `make` hold values that a call sets."""
    known = threading.local()

    @wraps(make)
    def found(*given: Any) -> Found:
        if not hasattr(known, "answers"):
            known.answers = lru_cache(maxsize=KEPT)(make)
        answer: Found = known.answers(*given)
        return answer

    return found
