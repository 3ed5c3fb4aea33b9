"""Comparison: what contenders did on the same parts, as tables with what can be said of the differences.

A gain is the error of the baseline minus that of the contender: above 0 it helps. Tasks gain or lose against
the baseline each by itself; a task that loses is negative transfer. Where several parts tell, a gain or loss
is clear when its interval over parts does not hold 0: task by task, so that with an interval of 95 % one task
in twenty is clear by chance.

    >>> comparison.error("amtl").mean, comparison.gain("amtl").low, comparison.gains("amtl").lost
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.comparing.outcomes import Outcome
from amtl_cvx.experiment.comparing.stability import Stability
from amtl_cvx.experiment.comparing.statistics import LEVEL, Interval, McNemar, interval, mcnemar, paired
from amtl_cvx.experiment.comparing.tables import contender_rows, describe, finite, shown, to_dict
from amtl_cvx.notebook import paragraph, table

SAME = 1e-9
"""Relative difference of two errors that is none."""


class Gain(NamedTuple):
    """What a task gains on the parts, with the side its mean is on, 0 for neither."""

    task: str
    interval: Interval
    side: int


@dataclass(frozen=True)
class Gains:
    """The gains of all tasks that have test rows, in their order."""

    tasks: tuple[Gain, ...]

    @property
    def gained(self) -> int:
        """How many gain."""
        return sum(each.side > 0 for each in self.tasks)

    @property
    def lost(self) -> int:
        """How many lose: negative transfer."""
        return sum(each.side < 0 for each in self.tasks)

    @property
    def clearly_gained(self) -> int:
        """How many gain clearly over the parts."""
        return sum(each.side > 0 and each.interval.side > 0 for each in self.tasks)

    @property
    def clearly_lost(self) -> int:
        """How many lose clearly over the parts."""
        return sum(each.side < 0 and each.interval.side < 0 for each in self.tasks)

    @property
    def words(self) -> str:
        """Who gained and who lost, in a line."""
        same = len(self.tasks) - self.gained - self.lost
        words = f"{self.gained} gained, {self.lost} lost" + (f", {same} as before" if same else "")
        if any(each.interval.low is not None for each in self.tasks):
            words += f" ({self.clearly_gained} and {self.clearly_lost} of them clearly)"
        return words


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Outcomes of contenders on parts, every contender on every part.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Part by part, contenders in their order.
    titles : mapping
        What tables call each contender.
    tasks : tuple of str
        Names of the tasks.
    measure : str
        What an error is.
    baseline : str or None
        The contender against which gains are taken.
    overlap : float
        Test rows over training rows where the parts are drawn from the same rows, else 0.
    level : float
        Of the intervals.
    said : tuple of str
        What was said on the way: grids that were widened, rows that were left out.
    """

    outcomes: tuple[Outcome, ...]
    titles: Mapping[str, str]
    tasks: tuple[str, ...]
    measure: str
    baseline: str | None = None
    overlap: float = 0.0
    level: float = LEVEL
    said: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(outcome.part for outcome in self.outcomes))

    @cached_property
    def contenders(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(outcome.contender for outcome in self.outcomes))

    @cached_property
    def _found(self) -> dict[tuple[str, str], Outcome]:
        return {(outcome.contender, outcome.part): outcome for outcome in self.outcomes}

    def of(self, contender: str) -> tuple[Outcome, ...]:
        """The outcomes of a contender, part by part; `ModelError` for one that there is not."""
        if contender not in self.contenders:
            raise ModelError(f"no contender {contender!r}: there are {', '.join(self.contenders)}")
        return tuple(self._found[contender, part] for part in self.parts)

    def errors(self, contender: str) -> Array:
        """Its errors, part by part."""
        return np.array([outcome.error for outcome in self.of(contender)])

    def error(self, contender: str) -> Interval:
        """Its mean error over parts, with the standard error that papers give."""
        return interval(self.errors(contender), level=self.level)

    def gain(self, contender: str, over: str | None = None) -> Interval:
        """Its mean gain over another one (the baseline) on the same parts, paired."""
        other = self._other(over)
        return paired(self.errors(other), self.errors(contender), level=self.level, overlap=self.overlap)

    def better(self, contender: str, over: str | None = None) -> int:
        """On how many parts its error is the smaller one."""
        return int((self.errors(contender) < self.errors(self._other(over))).sum())

    def gains(self, contender: str, over: str | None = None) -> Gains:
        """What every task gains over another contender (the baseline), and who loses."""
        before = np.array([outcome.by_task for outcome in self.of(self._other(over))])
        after = np.array([outcome.by_task for outcome in self.of(contender)])
        gains = []
        for name, was, now in zip(self.tasks, before.T, after.T, strict=True):
            known = ~np.isnan(was - now)
            if known.any():
                found = paired(was[known], now[known], level=self.level, overlap=self.overlap)
                seen = abs(found.mean) > SAME * float(np.abs(was[known]).mean())
                gains.append(Gain(name, found, int(np.sign(found.mean)) if seen else 0))
        return Gains(tuple(gains))

    def mcnemar(self, contender: str, over: str | None = None) -> McNemar | None:
        """McNemar's test on the test rows of one part; None for several parts, and for numbers."""
        ours, theirs = self.of(contender)[0].right, self.of(self._other(over))[0].right
        if len(self.parts) > 1 or ours is None or theirs is None:
            return None
        return mcnemar(ours, theirs)

    def stability(self, contender: str) -> Stability | None:
        """How alike its graphs are from part to part; None for a method that learns none."""
        graphs = [outcome.B for outcome in self.of(contender) if outcome.B is not None]
        return Stability(np.array(graphs)) if any(B.any() for B in graphs) else None

    def rows(self) -> list[dict[str, Any]]:
        """One row a contender, for a table or a frame."""
        return contender_rows(self)

    def describe(self) -> str:
        """The table in lines of text, and what is to be known of it."""
        return "\n".join(describe(self))

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON holds it, blocks apart."""
        return dict(finite(to_dict(self)))

    def __repr__(self) -> str:
        return f"Comparison({len(self.contenders)} methods on {len(self.parts)} parts: {self.measure})"

    def _repr_html_(self) -> str:
        columns = ("title", "error", "se", "gain", "gain_low", "gain_high", "gained", "lost", "certificates")
        cells = [[shown(row.get(name)) for name in columns] for row in self.rows()]
        return paragraph([repr(self)]) + table(columns, cells)

    def _other(self, over: str | None) -> str:
        other = self.baseline if over is None else over
        if other is None:
            raise ModelError("there is no baseline: name the contender to compare with")
        return other
