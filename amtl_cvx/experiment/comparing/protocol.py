"""Protocol: how each contender is tuned and fitted on the training rows of a part."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.comparing.contenders import Contender
from amtl_cvx.experiment.comparing.journal import Journal, key_of
from amtl_cvx.experiment.comparing.outcomes import Learned
from amtl_cvx.experiment.comparing.parts import Part
from amtl_cvx.experiment.comparing.scores import measure_of
from amtl_cvx.experiment.tuning import Splits, tune
from amtl_cvx.experiment.tuning.axes import axes_of
from amtl_cvx.experiment.tuning.choice import Rule
from amtl_cvx.experiment.tuning.plan import CARRIED, EngineChoice
from amtl_cvx.experiment.tuning.units import apart
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.solution import Status
from amtl_cvx.tasks import Task, TaskSet

FOLDS = 5
"""Of the training rows, where nobody says how parameters are chosen."""


class Prepared(NamedTuple):
    """A part whose features are prepared, as its training rows say."""

    part: Part
    preparation: Preparation
    train: TaskSet

    def test(self) -> TaskSet:
        """Its test rows, prepared alike: called once, after the last fit on any part."""
        rows = self.part.test
        read = tuple(
            Task(X=task.X, y=task.y, name=task.name, sample_weight=task.sample_weight) for task in rows.tasks
        )
        return self.preparation.apply_tasks(replace(rows, tasks=read))


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How parameters are chosen and fits carried out, the same for all.

    Parameters
    ----------
    folds, held_out : int or float, optional
        Parameters are chosen by so many folds of the training rows, or on such a share of them; neither:
        on the validation rows of a part where it has some, else by five folds.
    rule, random, widen, seed, measure, engine
        As in `tune`.
    standardize, intercept : bool
        How features are prepared, from the training rows of each part.
    balanced : bool
        Whether rows that are trained on count so that both classes of a task weigh the same.
    options : Options
        Of the fits that count.
    """

    folds: int | None = None
    held_out: float | None = None
    rule: Rule = "best"
    random: int | None = None
    widen: int = 3
    seed: int = 0
    measure: str = "auto"
    engine: EngineChoice = "auto"
    standardize: bool = False
    intercept: bool = False
    balanced: bool = False
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if self.folds is not None and self.held_out is not None:
            raise ModelError("parameters are chosen by folds or on a share held out: leave one out")

    def prepared(self, part: Part) -> Prepared:
        """The part, its features prepared."""
        found = Preparation.learn(part.train, standardize=self.standardize, intercept=self.intercept)
        train = found.apply_tasks(part.train)
        return Prepared(part, found, train.balanced() if self.balanced else train)

    def model(self, contender: Contender, tasks: TaskSet) -> Any:
        """The contender's model at the first values of its parameters; `AMTLError` for what makes none."""
        settings, held = apart(contender.named, contender.settings)
        first = {each.name: each.values[0] for each in contender.named.parameters}
        parameters = {**first, **held}
        return Candidate(method=contender.named, settings=settings, parameters=parameters).model(tasks)

    def measured(self, contender: Contender, tasks: TaskSet) -> str:
        """What an error of the contender is."""
        return measure_of(self.model(contender, tasks).loss, tasks, self.measure)

    def key(self, prepared: Prepared, contender: Contender) -> str:
        """The hash of all that a fit of the contender depends on."""
        import amtl_cvx

        held = prepared.part.validation
        return key_of(
            {
                "version": amtl_cvx.__version__,
                "train": prepared.part.train.fingerprint(pool=True),
                "prepared": [self.standardize, self.intercept, self.balanced],
                "validation": None if held is None else held.fingerprint(pool=True),
                "method": contender.method,
                "grid": [axis.to_dict() for axis in axes_of(contender.grid)],
                "settings": dict(contender.settings),
                **{name: getattr(self, name) for name in ("folds", "held_out", "rule", "random", "widen")},
                **{name: getattr(self, name) for name in ("seed", "measure", "engine")},
                "options": {name: getattr(self.options, name) for name in CARRIED},
            }
        )

    def learned(
        self,
        prepared: Prepared,
        contender: Contender,
        *,
        journal: Journal | None = None,
        executor: Executor | None = None,
        observe: Callable[..., None] | None = None,
    ) -> Learned:
        """The contender tuned, fitted and judged on the training rows, or as the journal has it."""
        key = "" if journal is None else self.key(prepared, contender)
        if journal is not None and (known := journal.read(key)) is not None:
            return known
        tuning = tune(
            prepared.train,
            contender.method,
            contender.grid,
            settings=contender.settings,
            splits=self._splits(prepared.part),
            random=self.random,
            seed=self.seed,
            widen=self.widen,
            rule=self.rule,
            measure=self.measure,
            options=self.options,
            engine=self.engine,
            executor=executor,
            journal=None if journal is None else journal.tuning(key),
            observe=observe,
        )
        options = replace(tuning.options, executor=executor)
        solution, best = tuning.fit(prepared.train, options), tuning.chosen
        if solution.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        chosen = {
            "error": float(best.mean),
            "se": None if best.se is None else float(best.se),
            "trials": len(tuning.trials),
            "measure": tuning.measure,
            "sentence": tuning.sentence(further=False),
            "splits": tuning.splits_words,
            "widened": tuning.remarks(),
        }
        candidate = tuning.candidate
        found = Learned.of(solution, candidate, chosen=chosen, tuning=tuning.seconds)
        if journal is not None:
            journal.write(key, found)
        return found

    def _splits(self, part: Part) -> Splits:
        """Which rows of a part choose, their features prepared as those that are fitted say."""
        if self.held_out is not None:
            made = Splits.held_out(part.train, self.held_out, self.seed)
        elif self.folds is None and part.validation is not None:
            made = Splits.validation(part.train, part.validation)
        else:
            made = Splits.folds(part.train, self.folds or FOLDS, self.seed)
        if self.standardize or self.intercept:
            made = made.prepared(standardize=self.standardize, intercept=self.intercept)
        if not self.balanced:
            return made
        return replace(made, parts=tuple(replace(each, train=each.train.balanced()) for each in made))
