"""What a tuning returns: every point with its errors, the one that is chosen, and how it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.tuning.axes import Axis, Value
from amtl_cvx.experiment.tuning.choice import Rule
from amtl_cvx.experiment.tuning.trial import Trial, shown
from amtl_cvx.experiment.tuning.units import apart
from amtl_cvx.families.settings.named import NamedMethod
from amtl_cvx.notebook import paragraph
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuning:
    """The points that were tried, and the choice among them.

    Attributes
    ----------
    method : NamedMethod
    settings : Mapping
        Settings of the model and parameters that were held, the loss among them.
    measure : str
        What the errors are.
    trials : tuple of Trial
        Every point, the last axis running fastest; at random in the order in which they were drawn.
    chosen : Trial
        The one that the rule takes.
    rule : {"best", "one-se"}
    axes : tuple of Axis
        As they are at last, widened.
    widened, edges : tuple of str
        A sentence for each axis that was widened, and for each at whose end the choice lies all the same.
    splits_words : str
        What the errors are measured on.
    seconds : float
        What the fits took, added up.
    resumed : int
        How many fits, of a point on a split, were taken from the journal.
    options : Options
        How `fit` carries out the fit of the chosen point.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet, tune
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> tasks = TaskSet.from_matrix(X, np.column_stack([X[:, 0], 2.0 * X[:, 0] + [0.1, -0.1, 0.1, -0.1]]))
    >>> tuning = tune(tasks, "stl", {"coupling": [0.01, 0.1, 1.0]}, splits=2, widen=0)
    >>> dict(tuning.chosen.parameters), tuning.best is tuning.chosen, tuning.edges
    ({'coupling': 0.1}, True, ())
    >>> tuning.fit(tasks).certificate.passes
    True
    """

    method: NamedMethod
    settings: Mapping[str, Any]
    measure: str
    trials: tuple[Trial, ...]
    chosen: Trial
    rule: Rule
    axes: tuple[Axis, ...]
    widened: tuple[str, ...]
    edges: tuple[str, ...]
    splits_words: str
    seconds: float
    resumed: int = 0
    options: Options = field(default_factory=Options)

    def __repr__(self) -> str:
        return f"Tuning({self.method.name}: {self.sentence()})"

    def _repr_html_(self) -> str:
        return paragraph([f"{self.method.title}: {self.sentence()}"])

    @property
    def best(self) -> Trial:
        """The trial of least mean error, the first of equals."""
        return min(self.trials, key=lambda trial: trial.mean)

    @property
    def candidate(self) -> Candidate:
        """The method at the chosen parameters."""
        settings, held = apart(self.method, self.settings)
        parameters = {**held, **self.chosen.parameters}
        return Candidate(method=self.method, settings=settings, parameters=parameters)

    def fit(self, tasks: TaskSet, options: Options | None = None) -> Solution:
        """The chosen point on all rows of the tasks, judged; by default with the engine of the trials."""
        return self.candidate.fit(tasks, options or self.options)

    def sentence(self, *, further: bool = True) -> str:
        """What was chosen and from what; `further`: and what is to be known of it (`remarks`)."""
        chosen, tried = self.chosen, f"{len(self.trials)} points on {self.splits_words}"
        if chosen.mean == self.best.mean:
            how = f"the least of {tried}"
        else:
            how = f"the simplest within one standard error of the least, {shown(self.best.mean)}, of {tried}"
        se = "" if chosen.se is None else f" (standard error {shown(chosen.se)})"
        said = f"chose {chosen.words or 'the only point'}: {self.measure} {shown(chosen.mean)}{se}, {how}"
        return "; ".join([said, *(self.remarks() if further else [])])

    def remarks(self) -> list[str]:
        """Axes that were widened or end at the choice, points that could not be fitted or ended early."""
        failed = sum(not math.isfinite(trial.mean) for trial in self.trials)
        more = [f"{failed} points could not be fitted on every split"] if failed else []
        return [*self.widened, *self.edges, *more, *self.ended()]

    def ended(self) -> list[str]:
        """How many trials ended short of a first-order point, whether the chosen one did, what to try."""
        tried, counts = len(self.trials), {"growing": 0, "bounded": 0}
        for trial in self.trials:
            counts["growing" if trial.growing else "bounded"] += bool(trial.growing or trial.bounded)
        words = {
            "growing": "ended as growing (labels are separable, or nothing holds the predictors)",
            "bounded": "ended at the bound of their steps",
        }
        said = [f"{counts[each]} of {tried} points {words[each]}" for each in words if counts[each]]
        if not said:
            return []
        said[-1] += ": their errors are of where they ended"
        if self.chosen.growing:
            advice = ": --grid rounds=1:10 tunes where to stop" if self.method.rounds else ""
            said.append(f"the chosen point is a growing one{advice}")
        return said

    def rows(self) -> list[dict[str, Any]]:
        """A dict a trial: its parameters, mean, se, error of each split, seconds, whether it is chosen."""
        return [{**trial.row(), "chosen": trial is self.chosen} for trial in self.trials]

    def profile(self, x: str, y: str | None = None) -> tuple[Sequence[Value], Sequence[Value], Array]:
        """The least mean error over all other parameters, by the values of two of them, or of one.

        Returns
        -------
        values of x, values of y, errors
            Errors (len(y), len(x)), NaN where nothing was tried; with y left out one row, its values ("",).

        Raises
        ------
        ModelError
            For a parameter that was not tuned.
        """
        values: dict[str, Sequence[Value]] = {}
        for name in [x] if y is None else [x, y]:
            if name not in self.chosen.parameters:
                known = ", ".join(self.chosen.parameters)
                raise ModelError(f"{name!r} was not tuned: choose among {known}")
            tried = dict.fromkeys(trial.parameters[name] for trial in self.trials)
            axis = next(axis for axis in self.axes if axis.name == name)
            order = [value for value in axis.values if value in tried]
            further = [value for value in tried if value not in order]
            values[name] = sorted(tried) if further else order
        down: Sequence[Value] = ("",) if y is None else values[y]
        errors = np.full((len(down), len(values[x])), np.nan)
        for trial in self.trials:
            row = 0 if y is None else down.index(trial.parameters[y])
            place = row, values[x].index(trial.parameters[x])
            errors[place] = np.fmin(errors[place], trial.mean)
        return values[x], down, errors

    def along(self, name: str, at: Mapping[str, Value] | None = None) -> list[Trial]:
        """The trials that differ from the chosen point, changed by `at`, in one parameter, in its order."""
        centre = {**self.chosen.parameters, **(at or {})}
        others = [each for each in centre if each != name]
        found = [t for t in self.trials if all(t.parameters[each] == centre[each] for each in others)]
        return sorted(
            found, key=lambda trial: (isinstance(trial.parameters[name], str), trial.parameters[name])
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it but the options, as JSON can hold it."""
        return {
            "method": self.method.name,
            "settings": {name: plain(value) for name, value in self.settings.items()},
            "measure": self.measure,
            "splits": self.splits_words,
            "rule": self.rule,
            "axes": [axis.to_dict() for axis in self.axes],
            "widened": list(self.widened),
            "edges": list(self.edges),
            "chosen": self.chosen.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "seconds": self.seconds,
            "sentence": self.sentence(),
        }

    def with_rule(self, trial: Trial, rule: Rule) -> Tuning:
        """The same trials with another choice."""
        return replace(self, chosen=trial, rule=rule)


def plain(value: Any) -> Any:
    """A setting as JSON can hold it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [plain(each) for each in value] if isinstance(value, list | tuple) else str(value)
