r"""Growth of W outside the tasks' own rows while J falls: is J lower still much farther out?

w_t = z_t + v_t with X_t v_t = 0 and z_t in the row space of X_t. v_t costs task t nothing but coupling; it is
what w_t lends to others. Let u be a direction that no row of two tasks i and j sees. With an edge of 1 each
way

    w_i + K u,   w_j + K u                  no loss changes, and w_i - w_j neither: two edges carry any K
    B[i, t] = b / K                         lends b u to task t, at a price that falls to 0 with 1 / K

so far out the coupling counts nothing of what lies in the cone of such u. Where J is lower there than it can
be nearby it has no minimum: it falls for ever, to a value that is not attained.

A fit may be on its way there, slowly, for ever. So after `LOOK` steps of refinement in which the residual
does not fall tenfold, and again after twice as many, it is asked whether

    q = ||(v_1 .. v_T)|| / ||(z_1 .. z_T)||,        0 for the best W at B = 0

has grown beyond 1, so that more of W lies outside the rows than inside; and then whether J is lower far out,
at a point that is built and J computed there (`farther`):

* W: each task by itself with a thousandth of the coupling. Its columns say what is to be lent.
* Pairs of tasks, those whose rows see least first. Each pair takes the u that the others need most, as long
  as that leaves less to be lent; K = `FAR` times the longest predictor.
* Exact rounds of the alternation, B-step first, which find all edges: `ROUNDS`, or fewer where J has fallen
  too little in the last one to become as low as asked for.

J that is lower there on two looks running, with predictors ten times as long as those of the fit, ends it.
Nothing is timed or guessed: that J is lower is computed. It is no proof that there is no minimum, which may
lie lower still, or beside the way down.

Where the rows of each task span what those of all do, no v_t is of use to another task: nothing is computed;
nor where a penalty on W bounds it (ridge). One that leaves predictors free to move together counts in J.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize as so

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import resolution
from amtl_cvx.errors import SolveError
from amtl_cvx.problem import Point, Problem
from amtl_cvx.refine.b_step import direct_step
from amtl_cvx.refine.recession import recession_fall, recession_words
from amtl_cvx.rowspace import OwnSpaces, span
from amtl_cvx.subproblems.numpy_steps import minimised

FAR = 1e3
"""How much longer predictors are where J is tried."""
ROUNDS = 10
"""Exact rounds of the alternation there at most, as long as they can still reach what J is to be below."""
LOOK = 4
"""Slow steps before the first look; each later one waits for twice as many."""
OFTEN = 8
"""Slow steps from one look at what a cycle carries to the next (`recession`)."""
_ALONE = 1e-3  # part of the coupling with which tasks are fitted by themselves
_USE = 0.01  # part of what is to be lent that a pair has to take over


def farther(point: Point, spaces: OwnSpaces, *, below: float) -> Point | None:
    """A point with predictors ten times as long whose J is below; None where none is found."""
    step = direct_step(point.model, point.tasks.T)
    weak = replace(point.model, coupling=_ALONE * point.model.coupling)
    nothing = np.zeros_like(point.W), np.zeros_like(point.B)
    try:
        alone = minimised(Problem(point.tasks, weak).at(*nothing))
        carriers = list(_carriers(spaces, alone.W))
        if step is None or not carriers:
            return None
        W = alone.W.copy()
        for pair, u in carriers:
            W[:, pair] += FAR * alone.longest * u[:, None]
        trial = point.at(W=W, B=point.model.transfer.start(point.tasks.T))
        if not np.isfinite(trial.losses).all():  # exp of scores that are rounding times K
            return None
        for left in reversed(range(ROUNDS)):
            before = trial.objective
            trial = minimised(trial.at(B=step.solve(trial).value))
            if trial.objective < below and trial.longest > 10.0 * point.longest:
                return trial
            if trial.objective - below > left * (before - trial.objective):
                return None  # out of reach
    except (SolveError, RuntimeError):  # of a step, or of non-negative least squares
        pass
    return None


def _carriers(spaces: OwnSpaces, W: Array) -> Iterator[tuple[list[int], Array]]:
    """Pairs of tasks and the direction u (d,) each carries, so that their cone holds much of W."""
    order = np.argsort([Q.shape[1] for Q in spaces.bases], kind="stable")
    cone, left = np.empty((len(W), 0)), W
    for i, j in zip(order[::2], order[1::2], strict=False):
        seen = span(np.vstack([spaces.bases[i].T, spaces.bases[j].T]))
        unseen = left - seen @ (seen.T @ left)
        u = np.linalg.svd(unseen, full_matrices=False)[0][:, 0]
        lent = u @ unseen
        if (np.maximum(lent, 0.0) ** 2).sum() < (np.minimum(lent, 0.0) ** 2).sum():
            u = -u
        trial = np.column_stack([cone, u])
        after = np.column_stack([w - trial @ so.nnls(trial, w)[0] for w in W.T])
        if (after**2).sum() < (1.0 - _USE) * (left**2).sum():
            cone, left = trial, after
            yield [int(i), int(j)], u


@dataclass(kw_only=True)
class Growth:
    """What was seen of the growth since refinement began.

    Attributes
    ----------
    slow, look : int
        Slow steps so far, and how many there are at the next look.
    lower : int
        Looks up to now, without a break, at which J was lower farther out.
    ratio, objective, longest : float or None
        q at the last look, J there and the length of the longest predictor.
    far_objective, far_longest : float or None
        The same of the point farther out where J is lower.
    fall : float or None
        By how much J falls along what a cycle carries (`recession`).
    """

    slow: int = 0
    look: int = LOOK
    lower: int = 0
    ratio: float | None = None
    objective: float | None = None
    longest: float | None = None
    far_objective: float | None = None
    far_longest: float | None = None
    fall: float | None = None

    @property
    def endless(self) -> bool:
        """Whether J is lower farther out at two looks running, or falls along what a cycle carries."""
        return self.lower > 1 or self.fall is not None

    def see(self, point: Point, *, tol: float) -> None:
        """Count a slow step; where it is time, look farther out."""
        self.slow += 1
        limit = max(tol * point.objective, resolution(point.problem))
        if self.slow % OFTEN == 0 and (fall := recession_fall(point)) > limit:
            self.fall = fall
        if self.slow < self.look:
            return
        self.look, before, self.lower = 2 * self.look, self.lower, 0
        spaces, omega = OwnSpaces.of(task.X for task in point.tasks), point.model.omega
        if spaces is None or (omega is not None and omega.bounds_W(point.tasks.T)):
            return
        self.ratio, self.objective, self.longest = _ratio(spaces, point.W), point.objective, point.longest
        if self.ratio <= 1.0:
            return
        found = farther(point, spaces, below=point.objective - limit)
        if found is not None:
            self.lower = before + 1
            self.far_objective, self.far_longest = found.objective, found.longest

    def words(self, point: Point) -> str:
        """What was measured on the way to the last point, and what helps."""
        if self.fall is not None:
            return recession_words(point, self.fall)
        return (
            "J may have no minimum here: what no row of its own task sees of the predictors, nothing without"
            f" edges, has grown to {self.ratio:.2g} times the rest while J fell, and J is lower still far"
            f" out: {self.objective:.7g} here, where the longest predictor has length {self.longest:.2g},"
            f" and {self.far_objective:.7g} where it has {self.far_longest:.2g}; {CURE}"
        )


def _ratio(spaces: OwnSpaces, W: Array) -> float:
    """q = ||(v_1 .. v_T)|| / ||(z_1 .. z_T)||, 0 for W = 0."""
    inside = spaces.seen(W)
    size = float(np.linalg.norm(inside))
    return float(np.linalg.norm(W - inside)) / size if size > 0.0 else 0.0


CURE = (
    "use a penalty on W (--omega mean:1), or drop features that are constant in a task or depend on others,"
    " or give such tasks more rows; a few rounds without refinement (--no-refine --max-rounds 5) give a"
    " point to predict with"
)
"""What helps."""
