r"""How an answer answers to its data: the response of its free entries to changes of the gradient, and kappa.

Near the answer x of free entries (W and what of B is off its bounds) g(x) = 0 determines x, so that data that
change by relative parts eps move the gradient by at most eps t, t the sum of |terms| of each entry (`terms`),
and the answer by C dg, C = H^-1, or C = N (N'H N)^-1 N' where kinks hold x to the range of N. Hence

    kappa = max over the blocks of  max_i (|C| t)_i / max_i |x_i|

the relative condition number, entry by entry in the data and by the largest entry in the answer (Skeel;
Higham, Accuracy and Stability of Numerical Algorithms, 7.2). Rows on a kink add what their scores are summed
from, through what their own columns of the bordered inverse say. For more than `DENSE` unknowns C is a
factor alone, and the norm of diag(1/x) C diag(t) is estimated by Hager's method (15.1 there): a lower bound,
seldom by more than a factor of 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array

DENSE = 1500
_STEPS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """The free entries of an answer, and how they answer.

    Parameters
    ----------
    blocks : mapping of name to slice
        Where the unknowns of a block are.
    sizes : mapping of name to float
        The largest entry of the block.
    terms : (n,) array
        t.
    apply : function
        C times a vector (n,), symmetric.
    curve : function
        |H| times a vector (n,).
    moved : (n,) array, optional
        |C| t, with what rows on kinks add to it, where C is at hand.
    values : (n,) array
        |x|.
    """

    blocks: Mapping[str, slice]
    sizes: Mapping[str, float]
    terms: Array
    values: Array
    apply: Callable[[Array], Array]
    curve: Callable[[Array], Array]
    moved: Array | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    """Other condition numbers, by name."""

    @property
    def how(self) -> str:
        """Whether kappa is computed or estimated."""
        return "computed" if self.moved is not None else "estimated from below"

    def kappas(self) -> dict[str, float]:
        """kappa by block; 0 for a block that is 0 and stays so."""
        found = {}
        for name, place in self.blocks.items():
            size = self.sizes[name]
            moved = self._largest(place)
            found[name] = moved / size if size > 0.0 else 0.0
        return found

    def kappa(self) -> float:
        """The largest of them, not below 1."""
        return max(1.0, *self.kappas().values())

    def gap(self) -> float:
        """t'|C| t + |x|'|H||x|: twice what J gains, over eps^2, where the gradient or x is off by eps."""
        moved = np.abs(self.apply(self.terms)) if self.moved is None else self.moved
        return float(self.terms @ moved + self.values @ self.curve(self.values))

    def _largest(self, place: slice) -> float:
        """max_i (|C| t)_i over the unknowns of a block."""
        if not len(self.terms[place]):
            return 0.0
        if self.moved is not None:
            return float(self.moved[place].max())
        return _hager(self.apply, self.terms, place)


def dense(
    H: Array,
    *,
    blocks: Mapping[str, slice],
    sizes: Mapping[str, float],
    terms: Array,
    values: Array,
    inverse: Array | None = None,
    rows: Array | None = None,
    figures: Mapping[str, float] | None = None,
) -> Response | None:
    """The response of a Hessian that is at hand; None where it is not positive definite."""
    if inverse is None:
        inverse = _inverse(H)
        if inverse is None:
            return None
    C = inverse
    return Response(
        blocks=blocks,
        sizes=sizes,
        terms=terms,
        values=values,
        apply=lambda v: C @ v,
        curve=lambda v: np.abs(H) @ v,
        moved=np.abs(C) @ terms + (0.0 if rows is None else rows),
        figures=figures or {},
    )


def _inverse(H: Array) -> Array | None:
    """H^-1 in units of its diagonal; None where H is not positive definite."""
    diagonal = np.diag(H)
    if not (diagonal > 0.0).all():
        return None
    root = np.sqrt(diagonal)
    try:
        factor = sl.cho_factor(H / np.outer(root, root), lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    found: Array = sl.cho_solve(factor, np.eye(len(H)), check_finite=False) / np.outer(root, root)
    return found


def _hager(apply: Callable[[Array], Array], terms: Array, place: slice) -> float:
    """The largest row sum of |C diag(t)| over some rows, from below: the 1-norm of diag(t) C there."""
    n = len(terms)
    x, best = np.zeros(n), 0.0
    x[place] = 1.0 / len(terms[place])
    for _ in range(_STEPS):
        y = terms * apply(x)
        best = max(best, float(np.abs(y).sum()))
        z = apply(np.where(y < 0.0, -1.0, 1.0) * terms)[place]
        j = int(np.argmax(np.abs(z)))
        if not abs(z[j]) > float(z @ x[place]):
            break
        x = np.zeros(n)
        x[place.start + j] = 1.0
    return best
