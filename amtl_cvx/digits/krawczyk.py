"""Root and inertia in balls, for any system: Newton's method, Krawczyk's test, a block LDL' factorisation.

None of them knows what the system means. `newton` proves nothing; `contract` and `inertia` are
proofs, each up to `Undecided`: balls too wide for an answer, which more digits may give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from flint import arb, arb_mat

from amtl_cvx.errors import NotCertifiable
from amtl_cvx.limits import check_time

MAX_STEPS = 60
"""Newton steps; from the accuracy of a fit five to ten are taken."""
MAX_INVERSES = 8
"""Inverses of the Jacobian to all digits; towards a simple root each doubles the digits."""
LEAF = 6
"""Order up to which a matrix is factorised entry by entry."""


class Undecided(NotCertifiable):
    """The balls are too wide for an answer at this precision."""


class System(Protocol):
    """g and its Jacobian over balls."""

    def gradient(self, x: arb_mat) -> arb_mat:
        """g, (n, 1)."""
        ...

    def jacobian(self, x: arb_mat) -> arb_mat:
        """g', (n, n)."""
        ...


class Root(NamedTuple):
    """The box of the proof and a tighter enclosure of the root in it, both (n, 1)."""

    box: arb_mat
    enclosure: arb_mat
    jacobian: arb_mat
    """Over the box."""


def newton(system: System, x: arb_mat, tolerance: arb) -> tuple[arb_mat, arb_mat]:
    """An approximate root (exact numbers) and an approximate inverse of the Jacobian there.

    Chord steps with an inverse in double precision, cheap and good enough for most proofs; where a step is
    not a hundredth of the one before, one to all digits takes its place.

    Raises
    ------
    NotCertifiable
        If the steps do not fall below `tolerance`, of the largest unknown above 1; `Undecided` where only the
        last digits do not settle.
    """
    inverse, before, renewed = _rough_inverse(system, x), None, 0
    for _ in range(MAX_STEPS):
        check_time("Newton's method went on to more digits")
        step = (inverse * system.gradient(x).mid()).mid()
        x = (x - step).mid()
        size = largest(step)
        if size < tolerance * largest(x).max(arb(1)):
            return x, inverse
        if before is not None and not 100 * size < before:
            if renewed == MAX_INVERSES or not size.is_finite():
                break
            inverse, renewed = exact_inverse(system, x), renewed + 1
        before = size
    failure = Undecided if size * size < tolerance else NotCertifiable
    raise failure(
        "Newton's method does not converge from the stored point: the Jacobian of the first-order system is"
        " singular or nearly so, or the point is too far off (refine it further first)"
    )


def contract(
    system: System, x: arb_mat, inverse: arb_mat, radius: arb | Sequence[arb], *, linear: int = 0
) -> Root:
    """Krawczyk's test on X = x +- radius, one for all unknowns or one each: exactly one root lies in X.

    The last `linear` unknowns are those that J does not depend on: their half-width is free, and it is taken
    as wide as the image needs. J(X) is then regular, whatever they are.

    Raises
    ------
    Undecided
        If -Y g(x) + (I - Y J(X)) (X - x) is not inside the interior of X - x.
    """
    n = x.nrows()
    radii = [radius] * n if isinstance(radius, arb) else radius
    widths = [arb(0, r) for r in radii]
    spread = arb_mat(n, 1, widths)
    box = x + spread
    jacobian = system.jacobian(box)
    contraction = _identity(n) - inverse * jacobian
    if linear:
        needed = (contraction * spread).entries()[n - linear :]
        widths[n - linear :] = [
            arb(0, 2 * part.abs_upper() + r) for part, r in zip(needed, radii[n - linear :], strict=True)
        ]
        spread = arb_mat(n, 1, widths)
        box = x + spread
    image = contraction * spread - inverse * system.gradient(x)
    inside = all(
        whole.contains_interior(part) for whole, part in zip(spread.entries(), image.entries(), strict=True)
    )
    if not inside:
        raise Undecided(
            f"no contraction within {float(max(radii)):.0e} of the point: the Jacobian of the first-order"
            " system is singular or nearly so (tasks that are collinear, or edges that may be exchanged)"
        )
    return Root(box, x + image, jacobian)


def negative_eigenvalues(H: arb_mat) -> int:
    """How many eigenvalues of a symmetric matrix in the ball H are negative; proved that none is 0.

    Block LDL': the inertia of [[A, C'], [C, D]] is that of A plus that of D - C A^-1 C' (Haynsworth).
    """
    n = H.nrows()
    if n <= LEAF:
        return _pivots(H.tolist())
    rows, half = H.tolist(), n // 2
    A = arb_mat([row[:half] for row in rows[:half]])
    C = arb_mat([row[:half] for row in rows[half:]])
    D = arb_mat([row[half:] for row in rows[half:]])
    try:
        schur = D - C * A.solve(C.transpose())
    except ZeroDivisionError:
        raise Undecided("the reduced Hessian is singular or nearly so") from None
    return negative_eigenvalues(A) + negative_eigenvalues(schur)


def inertia(H: arb_mat) -> int:
    """How many eigenvalues of H are negative, where a leading block may be singular though H is not.

    V'HV, V the eigenvectors of H in doubles, has the inertia of H (Sylvester): V is regular where V'HV is.
    """
    try:
        return negative_eigenvalues(H)
    except Undecided:
        V = _eigenvectors(H)
        return negative_eigenvalues(V.transpose() * H * V)


def _eigenvectors(H: arb_mat) -> arb_mat:
    """In doubles, those of the eigenvalues furthest from 0 first."""
    middle = np.array([[float(entry.mid()) for entry in row] for row in H.tolist()])
    if not np.isfinite(middle).all():
        raise Undecided("the reduced Hessian is too large for doubles")
    values, vectors = np.linalg.eigh(middle)
    return arb_mat(vectors[:, np.argsort(-np.abs(values))].tolist())


def _pivots(rows: list[list[arb]]) -> int:
    negative = 0
    for k, pivot_row in enumerate(rows):
        pivot = pivot_row[k]
        if pivot.contains(0):
            raise Undecided("the reduced Hessian is singular or nearly so")
        negative += bool(pivot < 0)
        for row in rows[k + 1 :]:
            factor = row[k] / pivot
            for j in range(k + 1, len(rows)):
                row[j] -= factor * pivot_row[j]
    return negative


def exact_inverse(system: System, x: arb_mat) -> arb_mat:
    """An inverse of the Jacobian to all digits."""
    try:
        return system.jacobian(x).mid().inv().mid()
    except ZeroDivisionError:
        raise Undecided("the Jacobian of the first-order system is singular or nearly so") from None


def _rough_inverse(system: System, x: arb_mat) -> arb_mat:
    J = np.array([[float(entry) for entry in row] for row in system.jacobian(x).tolist()])
    try:
        return arb_mat(np.linalg.inv(J).tolist())
    except np.linalg.LinAlgError:
        return exact_inverse(system, x)


def largest(column: arb_mat) -> arb:
    """The largest size of an entry."""
    found = arb(0)
    for entry in column.entries():
        found = found.max(abs(entry))
    return found


def _identity(n: int) -> arb_mat:
    return arb_mat([[int(i == j) for j in range(n)] for i in range(n)])
