r"""Related tasks in whole numbers, from which the recipes of losses, penalties, steps and networks are made.

    rows = related(draws, counts=(10, 14, 8), d=3)      x_i, w_t whole, score_i = x_i'w_t + noise_i
    rows.numbers(), rows.labels(), rows.counted()       tasks with y = score / 64, its sign, or a count of it

w_t is one vector for all tasks plus a part of its own; entries of X are eighths, of y sixty-fourths. The
noise of task t is uniform of half-width ``noise[t % len(noise)]``, in sixty-fourths as well, so that some
tasks are dearer as teachers than others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amtl_cvx.tasks import TaskSet
from recipes.integers import Draws, Integers, dyadic

EIGHTHS, SIXTY_FOURTHS = 3, 6


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Whole X, predictors and scores of every task, and row weights in quarters where there are some."""

    X: list[Integers]
    W: Integers
    """The w_t without noise, (d, T), in eighths."""
    scores: list[Integers]
    weights: list[Integers] | None = None

    @property
    def predictors(self) -> np.ndarray:
        """W (d, T) as doubles."""
        return dyadic(self.W, EIGHTHS)

    def tasks(self, kind: str) -> TaskSet:
        """The tasks with targets of a kind: "numbers", "labels" or "counts"."""
        made = {"numbers": self.numbers, "labels": self.labels, "counts": self.counted}
        return made[kind]()

    def numbers(self) -> TaskSet:
        """y = score / 64."""
        return self._tasks([dyadic(score, SIXTY_FOURTHS) for score in self.scores])

    def labels(self) -> TaskSet:
        """y = 1 where the score is not negative, else -1; the first row the other one where all are alike."""
        found = []
        for score in self.scores:
            sign = np.where(score >= 0, 1, -1)
            if abs(int(sign.sum())) == len(sign):
                sign[0] = -sign[0]
            found.append(dyadic(sign, 0))
        return self._tasks(found)

    def counted(self) -> TaskSet:
        """y = 2 + score / 96 as a whole number, rounded down, from 0 to 9."""
        return self._tasks([dyadic(np.clip(score // 96 + 2, 0, 9), 0) for score in self.scores])

    def _tasks(self, y: list[np.ndarray]) -> TaskSet:
        weights = None if self.weights is None else [dyadic(each, 2) for each in self.weights]
        return TaskSet.from_arrays([dyadic(x, EIGHTHS) for x in self.X], y, sample_weight=weights)


def related(
    draws: Draws,
    *,
    counts: Sequence[int],
    d: int,
    noise: Sequence[int] = (8, 64),
    spread: int = 3,
    size: int = 8,
    half: int = 12,
    weighted: bool = False,
    against: Sequence[int] = (),
) -> Rows:
    """Tasks of `counts` rows whose predictors have a common part.

    Entries of x are from -half to half, of the common part from -size to size, of a task's own from -spread
    to spread; the tasks of `against` have the common part with the other sign. Row weights are 1 to 8
    quarters.
    """
    common = draws.integers("common", d, -size, size)
    X, columns, scores, weights = [], [], [], []
    for t, n in enumerate(counts):
        w = (-common if t in against else common) + draws.integers(f"own {t}", d, -spread, spread)
        columns.append(w)
        X.append(draws.integers(f"X {t}", (n, d), -half, half))
        level = noise[t % len(noise)]
        scores.append(X[-1] @ w + draws.integers(f"noise {t}", n, -level, level))
        weights.append(draws.integers(f"weights {t}", n, 1, 8))
    return Rows(X=X, W=np.column_stack(columns), scores=scores, weights=weights if weighted else None)


def graph(draws: Draws, T: int, *, every: int = 2, largest: int = 24) -> np.ndarray:
    """A graph B (T, T) of about one edge in `every`, each from 1 to `largest` sixty-fourths."""
    there = (draws.integers("edges", (T, T), 1, every) == 1) & ~np.eye(T, dtype=bool)
    return dyadic(np.where(there, draws.integers("B", (T, T), 1, largest), 0), SIXTY_FOURTHS)
