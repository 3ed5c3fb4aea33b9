r"""The enclosure of the global minimum: upper bound, box, relaxation cell by cell, rounding, in this order.

A lower point that turns up among the cells becomes the upper bound, and box and cells are made again.

Nothing is returned that the stand-alone `checker` has not accepted.

`enclose` raises `NotCertifiable` where no box can be had; otherwise it answers, and the width says what the
answer is worth: near 2^-bits where every cell was closed, the gap that the relaxation leaves where not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import infeasibility
from amtl_cvx.certificate.figures import double_above, double_below
from amtl_cvx.enclosure.box import Box, box_of, check_box
from amtl_cvx.enclosure.cells import Cell, LowerPoint, Prover, excess_of
from amtl_cvx.enclosure.exact import ExactProblem, Matrix, magnitude
from amtl_cvx.enclosure.point import ExactPoint, best_point, descended, exact_point, polish
from amtl_cvx.enclosure.polynomial import Polynomial, Scaled, scale_problem
from amtl_cvx.enclosure.proof import proof_of
from amtl_cvx.enclosure.relaxation import blocks_of, check_size, relax
from amtl_cvx.enclosure.rounding import clip
from amtl_cvx.enclosure.sdpa import bound_precisely
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.limits import seconds_left
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet

SOLVERS = ("CLARABEL", "SDPA")
BITS = 72
"""Binary digits of a proof's factors: widths near 1e-18."""
CELLS = 16
"""Into how many cells the box is cut at most."""
RESTARTS = 10
"""How often a lower point that turns up begins the search anew; after that none is looked for."""
MOST_BITS = 1000
"""Binary digits that the checker takes."""


@dataclass(frozen=True, kw_only=True)
class Enclosure:
    """lower <= min J <= upper, proved.

    Attributes
    ----------
    lower, upper : Fraction
        The proved lower bound, and J at (`W`, `B`), or above it by the ratio at most.
    at : Fraction
        J at the point that was asked about, or above it by the ratio at most.
    ratio : Fraction
        1; a little above it where task weights 1/sqrt(n_t) are irrational (`exact`).
    width : float
        (upper - lower) / upper, rounded up.
    method : "exact"
        No solver is trusted.
    tight : bool
        Whether every cell was closed, so that the width is a matter of digits only.
    cells : int
        Into how many cells the box was cut.
    stopped : str
        What ended the search with cells still open; "" where none was.
    W, B : Matrix
        The best point known, (d, T) and (T, T), rational.
    proof : dict
        What `save` writes and `checker` verifies.
    """

    lower: Fraction
    upper: Fraction
    at: Fraction
    ratio: Fraction
    width: float
    method: Literal["exact"] = "exact"
    tight: bool
    cells: int
    stopped: str
    W: Matrix
    B: Matrix
    proof: dict[str, Any]

    @property
    def excess(self) -> float:
        """(J at the point asked about - lower) / upper, rounded up: it misses the minimum by no more."""
        return double_above((self.at - self.lower) / self.upper)

    @property
    def beaten(self) -> float:
        """(J at the point asked about - upper) / upper, rounded down: it misses the minimum by that."""
        return double_below((self.at / self.ratio - self.upper) / self.upper)

    def save(self, path: str | Path) -> None:
        """Write the proof as JSON; ``python -m amtl_cvx.enclosure.checker PATH`` verifies it."""
        Path(path).write_text(json.dumps(self.proof, separators=(",", ":")) + "\n")


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def enclose(
    tasks: TaskSet,
    model: Model,
    W: Array,
    B: Array,
    *,
    solver: str = "CLARABEL",
    starts: int = 20,
    seed: int = 0,
    bits: int = BITS,
    box: Box | None = None,
    cells: int = CELLS,
    observe: Callable[[str], None] | None = None,
) -> Enclosure:
    """Enclose the global minimum of J between exact rationals, for small problems with squared loss.

    Source: theory.md section 11.

    Parameters
    ----------
    tasks, model
        Squared loss, the AMTL penalty with mu > 0, few tasks and features.
    W, B : (d, T), (T, T)
        The point asked about.
    solver : {"CLARABEL", "SDPA"}
        "SDPA": the unreduced relaxation in multiple precision (extra `[global]`), slower; a second way.
    starts : int
        Fits for the upper bound: one from B = 0, the others from random sparse B; 0 for none
        (then the point asked about, and what turns up among the cells).
    seed : int
        Of the random starts.
    bits : int
        Binary digits of the factors; `Zoom.lost` more are used.
    box : Box, optional
        A box of one's own; it must contain the derived one, on which the bound is proved.
    cells : int
        Into how many cells the box may be cut where a gap is left ("CLARABEL" only).
    observe : callable, optional
        Called with a sentence at every cut.

    Raises
    ------
    NotCertifiable
        Another loss or penalty, mu = 0, rank-deficient X_t, a task fitted perfectly, a problem too large, a
        box that may cut off the minimum, no answer from the solver.
    ModelError, DataError, SolverUnavailableError
    """
    if solver not in SOLVERS:
        raise ModelError(f"solver must be one of {SOLVERS}, got {solver!r}")
    model.check_coupled("the exact bound over W and B")
    check_size(tasks.T, tasks.d)  # before the exact Gram matrices are formed
    problem = ExactProblem.read(tasks, model)
    W, B = tasks.check_point(W, B)
    if infeasibility(model, B) > 0.0:
        raise ModelError(
            f"B is not feasible (by {infeasibility(model, B):.3g}): it must be >= 0, its diagonal 0"
        )
    asked = exact_point(problem, W, B)
    box_of(problem, _level(asked.objective))  # refuse before any work
    best = polish(problem, W, B, bits=bits + 24)
    if starts:
        found = best_point(tasks, model, starts=starts, rng=np.random.default_rng(seed))
        best = min(best, polish(problem, found.W, found.B, bits=bits + 24), key=lambda point: point.objective)
    if box is not None:
        check_box(box, box_of(problem, _level(best.objective)))  # then its minimum is that of the derived one
    for again in range(RESTARTS, -1, -1):
        try:
            return _prove(
                tasks,
                model,
                problem,
                best,
                asked=asked.objective * problem.ratio,
                solver=solver,
                bits=bits,
                cells=cells,
                look_lower=again > 0,
                observe=observe,
            )
        except LowerPoint as lower:
            best = lower.point
            if observe is not None:
                observe(f"a lower point turned up, {lower}")
    raise AssertionError("the last search looks for no lower point")


def _prove(
    tasks: TaskSet,
    model: Model,
    problem: ExactProblem,
    point: ExactPoint,
    *,
    asked: Fraction,
    solver: str,
    bits: int,
    cells: int,
    look_lower: bool,
    observe: Callable[[str], None] | None,
) -> Enclosure:
    upper, box = point.objective, box_of(problem, _level(point.objective))
    unit = Fraction(4) ** (magnitude(upper) // 2)
    scale = scale_problem(problem, box, point.W, point.B)
    excess = excess_of(scale, upper, unit)
    if solver == "SDPA":
        root, stopped = _precise(scale, excess, bits=bits), ""
    else:
        zoom = Zoom.on(scale)
        bits += zoom.lost
        if bits > MOST_BITS:
            raise NotCertifiable(
                f"the box is so wide that a proof takes {bits} binary digits, at most {MOST_BITS} are used:"
                " take a larger mu, or add rows"
            )

        def descend(W: Array, B: Array) -> ExactPoint:
            end = descended(Problem(tasks, model).at(W, B))
            return polish(problem, end.W, end.B, bits=bits + 24)

        prover = Prover(upper=upper, unit=unit, zoom=zoom, bits=bits, descend=descend if look_lower else None)
        root = prover.divide(scale, most=cells, observe=observe)
        stopped = _stopped(prover, root.leaves(), most=cells)
    proof = proof_of(
        Problem(tasks, model),
        W=point.W,
        B=point.B,
        level=box.upper,
        radius=scale.radius,
        unit=unit,
        bits=bits,
        cell=root,
        lower=upper + unit * root.value(excess, bits=bits),
        upper=upper * problem.ratio,
    )
    lower, upper = _verified(proof)
    leaves = root.leaves()
    return Enclosure(
        lower=lower,
        upper=upper,
        at=asked,
        ratio=problem.ratio,
        width=double_above((upper - lower) / upper),
        tight=all(leaf.tight for leaf in leaves),
        cells=len(leaves),
        stopped=stopped,
        W=point.W,
        B=point.B,
        proof=proof,
    )


def _stopped(prover: Prover, leaves: list[Cell], *, most: int) -> str:
    """What kept cells open that are worth a cut."""
    if not any(map(prover.gap, leaves)):
        return ""
    if seconds_left() <= 0.0:
        return "the limit of time"
    return f"{most} cells, which are the most" if len(leaves) >= most else "no open cell could be cut further"


def _precise(scale: Scaled, excess: Polynomial, *, bits: int) -> Cell:
    """The whole box with the bound of the unreduced relaxation in multiple precision."""
    blocks = blocks_of(scale, split=scale.T == 2, reduced=False)
    relaxation = relax(blocks)
    grams = relaxation.split(bound_precisely(relaxation, excess))
    return Cell(scale=scale, proof=(blocks, [clip(gram, bits=bits) for gram in grams]))


def _verified(proof: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """What the stand-alone checker finds in a proof."""
    from amtl_cvx.enclosure import checker  # here, so that ``python -m`` can run it as a program of its own

    try:
        return checker.check(json.loads(json.dumps(proof)), 100 * checker.STEPS)
    except ValueError as rejection:
        raise NotCertifiable(f"the checker rejects the proof that was found: {rejection}") from rejection


def _level(value: Fraction) -> Fraction:
    """A short dyadic number a little above `value`: the box of J <= it contains that of J <= `value`."""
    scale = Fraction(2) ** (40 - magnitude(value))
    return (math.floor(value * scale) + 1) / scale
