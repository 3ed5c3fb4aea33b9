"""Compare: every contender on every part, and at the end one look at the test rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from os import PathLike
from pathlib import Path

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.experiment.comparing.comparison import Comparison
from amtl_cvx.experiment.comparing.contenders import Contender, check_contenders
from amtl_cvx.experiment.comparing.journal import Journal
from amtl_cvx.experiment.comparing.outcomes import Learned, Outcome
from amtl_cvx.experiment.comparing.parts import Part, check_parts
from amtl_cvx.experiment.comparing.protocol import Prepared, Protocol
from amtl_cvx.experiment.comparing.scores import scored
from amtl_cvx.experiment.comparing.statistics import LEVEL
from amtl_cvx.experiment.tuning.choice import Rule
from amtl_cvx.experiment.tuning.plan import EngineChoice
from amtl_cvx.options import Options
from amtl_cvx.tasks import TaskSet

Observe = Callable[[str, str, Learned], None]
"""Is told the part, the contender and what was learned, after each fit."""


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def compare(
    parts: Sequence[Part],
    contenders: Sequence[Contender | str],
    *,
    baseline: str | None = "stl",
    folds: int | None = None,
    held_out: float | None = None,
    rule: Rule = "best",
    random: int | None = None,
    widen: int = 3,
    seed: int = 0,
    measure: str = "auto",
    engine: EngineChoice = "auto",
    standardize: bool = False,
    intercept: bool = False,
    balanced: bool = False,
    resampled: bool = False,
    level: float = LEVEL,
    options: Options | None = None,
    executor: Executor | None = None,
    journal: str | PathLike[str] | None = None,
    observe: Observe | None = None,
    trial: Callable[..., None] | None = None,
) -> Comparison:
    """Methods beside each other: tuned and fitted on training rows, judged, then scored once on test rows.

    Parameters
    ----------
    parts : sequence of Part
        Training and test rows, with the same tasks; `drawn_parts` and `folded_parts` make some.
    contenders : sequence of Contender or str
        What is compared; a name stands for the method with its default grid.
    baseline : str, optional
        The contender against which gains are taken; None for none.
    folds, held_out
        How parameters are chosen on the training rows: by so many folds, or on such a share of every task's
        rows. Neither: on the validation rows of a part that has some, else by five folds.
    rule, random, widen, seed, measure, engine
        As in `tune`.
    standardize, intercept : bool
        Prepare the features, as the training rows of each part say.
    balanced : bool
        Let both classes of a task weigh the same where rows are trained on.
    resampled : bool
        Whether the parts are drawn from the same rows: their intervals allow for it.
    level : float
        Of the intervals.
    options : Options, optional
        Of the fits that count; trials have those of `tune`.
    executor : concurrent.futures.Executor, optional
        The trials of a tuning are spread over it.
    journal : path, optional
        A folder where finished fits and trials are kept: the same call goes on from there.
    observe, trial : callable, optional
        Called with part, contender and what was learned after each fit; and as `tune` calls its own.

    Returns
    -------
    Comparison

    Raises
    ------
    ModelError
        For an unknown method, one that is compared twice, a grid over what is no parameter, a baseline that
        is not compared.
    DataError
        For parts that do not fit each other, or have too few rows to choose parameters on.
    SolveError, WorkerError, KeyboardInterrupt
        What was finished is in the journal.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.experiment.comparing import Contender, compare, drawn_parts
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(24, 3))
    >>> Y = X @ [[1.0, 1.1], [-2.0, -1.8], [0.5, 0.4]] + rng.normal(size=(24, 2))
    >>> parts = drawn_parts(TaskSet.from_matrix(X, Y, names=["north", "south"]), 2)
    >>> grids = {"stl": {"coupling": (0.1, 1.0)}, "mean": {"rho": (0.1, 1.0)}}
    >>> methods = [Contender(method=name, grid=grid) for name, grid in grids.items()]
    >>> found = compare(parts, methods, folds=2, widen=0, resampled=True)
    >>> found.parts, found.contenders, len(found.gains("mean").tasks)
    (('split 1', 'split 2'), ('stl', 'mean'), 2)
    """
    entered = [each if isinstance(each, Contender) else Contender(method=each) for each in contenders]
    check_parts(parts)
    check_contenders(entered, baseline)
    protocol = Protocol(
        folds=folds,
        held_out=held_out,
        rule=rule,
        random=random,
        widen=widen,
        seed=seed,
        measure=measure,
        engine=engine,
        standardize=standardize,
        intercept=intercept,
        balanced=balanced,
        options=options or Options(),
    )
    prepared = [protocol.prepared(part) for part in parts]
    named = _measure(protocol, prepared, entered)
    kept = None if journal is None else Journal(Path(journal))
    learned: dict[tuple[str, str], Learned] = {}
    for each in prepared:
        for contender in entered:
            found = protocol.learned(each, contender, journal=kept, executor=executor, observe=trial)
            learned[each.part.name, contender.name] = found
            if observe is not None:
                observe(each.part.name, contender.name, found)
    tests = [each.test() for each in prepared]  # here, and nowhere before, test rows are read
    shares = [test.rows.sum() / each.train.rows.sum() for each, test in zip(prepared, tests, strict=True)]
    return Comparison(
        outcomes=tuple(
            outcome
            for each, test in zip(prepared, tests, strict=True)
            for outcome in _scored(each, test, entered, learned, named)
        ),
        titles={contender.name: contender.title for contender in entered},
        tasks=prepared[0].train.names,
        measure=named,
        baseline=baseline,
        overlap=float(np.mean(shares)) if resampled and len(parts) > 1 else 0.0,
        level=level,
        said=tuple(_said(learned)),
    )


def _measure(protocol: Protocol, prepared: Sequence[Prepared], contenders: Sequence[Contender]) -> str:
    """What an error is, the same for all; `AMTLError` for settings that make no model, before any fit."""
    found = {
        protocol.measured(contender, each.train): contender.name
        for each in prepared
        for contender in contenders
    }
    if "class error" in found and any(each.part.test.T < each.train.T for each in prepared):
        raise DataError("class error needs test rows of all classes: give them, or measure 'error'")
    if len(found) > 1:
        which = " and ".join(f"{measure} ({name})" for measure, name in found.items())
        raise DataError(f"errors of one kind can be compared, these are {which}: give losses of one kind")
    return next(iter(found))


def _scored(
    prepared: Prepared,
    test: TaskSet,
    contenders: Sequence[Contender],
    learned: Mapping[tuple[str, str], Learned],
    measure: str,
) -> list[Outcome]:
    """The outcomes on a part."""
    train, outcomes = prepared.train, []
    for contender in contenders:
        found = learned[prepared.part.name, contender.name]
        candidate = Candidate(method=contender.named, settings=found.settings, parameters=found.parameters)
        errors = scored(
            candidate.model(train),
            found.blocks,
            test,
            names=train.names,
            features=train.feature_names,
            labels=train.labels,
            measure=measure,
        )
        outcomes.append(Outcome.of(prepared.part.name, contender.name, found, errors))
    return outcomes


def _said(learned: Mapping[tuple[str, str], Learned]) -> list[str]:
    """What the choices said of their grids, each with the parts on which it is so."""
    said: dict[tuple[str, str], list[str]] = {}
    for (part, contender), found in learned.items():
        for words in found.chosen.get("widened", ()):
            said.setdefault((contender, str(words)), []).append(part)
    count = len({part for part, _ in learned})
    return [f"{name}: {words}{_on(parts, count)}" for (name, words), parts in said.items()]


def _on(parts: Sequence[str], count: int) -> str:
    """On which parts something is so; nothing where there is one."""
    if len(parts) == count:
        return " (on every part)" if count > 1 else ""
    return f" (on {', '.join(parts)})" if len(parts) < 3 else f" (on {len(parts)} of {count} parts)"
