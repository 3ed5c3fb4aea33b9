"""What `compare` is asked for: the methods with their grids, and the rows on which they meet.

--methods stl,amtl                 names; the baseline is added where it is missing
--grid amtl:mu=.01,.1              of one method
--grid rounds=1:10                 of all that have the parameter
--splits N, --folds K, --test ROWS    parts of DATA, or one part with test rows of its own
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amtl_cvx.commands.parsers.compare import SETTINGS
from amtl_cvx.commands.parts import Part as Rows
from amtl_cvx.commands.setup import read_data
from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.candidate import ROUNDS
from amtl_cvx.experiment.comparing import Contender, Part, drawn_parts, folded_parts
from amtl_cvx.experiment.tuning import Axis
from amtl_cvx.families.settings import SHARED
from amtl_cvx.families.settings.named import NamedMethod, named
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import shown

BASELINE = "stl"
_SPLITS, _SHARE = 5, 0.25
_PREPARATION = ("standardize", "intercept", "class_weight")


def methods_of(arguments: Namespace) -> list[NamedMethod]:
    """The methods that are compared, the baseline first where it was not named.

    Raises
    ------
    ModelError
        For an unknown name, and one that is there twice.
    """
    names = [name.strip() for name in arguments.methods.split(",")]
    if not all(names):
        raise ModelError(f"--methods are names separated by single commas, got {arguments.methods!r}")
    found = [named(name) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"--methods names {name} twice: leave one out")
    baseline = named(arguments.baseline or BASELINE)
    return found if baseline.name in names else [baseline, *found]


def grids_of(texts: Sequence[str], methods: Sequence[NamedMethod]) -> dict[str, list[Axis]]:
    """The axes of each method.

    Raises
    ------
    ModelError
        For a method that is not compared, a parameter that no method has, and one that is there twice.
    """
    grids: dict[str, list[Axis]] = {method.name: [] for method in methods}
    for text in texts:
        before, _, _ = text.partition("=")
        name, colon, rest = before.partition(":")
        owner = name.strip() if colon else None
        axis = Axis.parse(text[len(name) + 1 :] if colon else text)
        if owner is not None and owner not in grids:
            raise ModelError(
                f"--grid {text} is of a method that is not compared: add {owner} to --methods"
                f" {','.join(grids)}, or leave it out"
            )
        takers = [each for each in methods if (owner or each.name) == each.name and _has(each, axis.name)]
        if not takers:
            known = "; ".join(
                f"{each.name}: {_parameters(each)}" for each in methods if owner in (None, each.name)
            )
            raise ModelError(f"--grid {text} is over what is no parameter ({known})")
        for each in takers:
            if any(other.name == axis.name for other in grids[each.name]):
                raise ModelError(f"{axis.name} of {each.name} is in two --grid: give all its values at once")
            grids[each.name].append(axis)
    return grids


def _has(method: NamedMethod, parameter: str) -> bool:
    return any(each.name == parameter for each in method.parameters) or (
        parameter == ROUNDS and method.rounds
    )


def _parameters(method: NamedMethod) -> str:
    return ", ".join([*(each.name for each in method.parameters), *([ROUNDS] if method.rounds else [])])


def settings_of(arguments: Namespace, recommended: Mapping[str, Any]) -> dict[str, Any]:
    """What all methods share: given, else as a problem recommends, else the default."""
    shared = {each.name: each.default for each in SHARED if each.name in SETTINGS}
    known = {name: recommended[name] for name in shared if name in recommended}
    given = {name: getattr(arguments, name) for name in shared if getattr(arguments, name) is not None}
    return {**shared, **known, **given}


def contenders_of(
    methods: Sequence[NamedMethod], grids: Mapping[str, Sequence[Axis]], settings: Mapping[str, Any]
) -> list[Contender]:
    """The methods with their grids; a setting that a name fixes is not said again."""
    of_model = {name: value for name, value in settings.items() if name not in _PREPARATION}
    return [
        Contender(
            method=method.name,
            grid={axis.name: axis.values for axis in grids[method.name]},
            settings={name: value for name, value in of_model.items() if name not in method.fixed},
        )
        for method in methods
    ]


def share_of(name: str, text: str | None, default: float | None = None) -> float | None:
    """A share such as 0.2 or 20%; `ModelError` for anything else."""
    if text is None:
        return default
    share = Rows(name=name, text=text).share
    if share is None or not 0.0 < share < 1.0:
        raise ModelError(f"--{name} must be a share between 0 and 1 here, such as 0.25 or 25%, got {text}")
    return share


def check_counts(arguments: Namespace) -> None:
    """`ModelError` for numbers that are none, and options that contradict each other."""
    counts = (("splits", 1), ("folds", 2), ("tune_folds", 2), ("random", 1), ("widen", 0), ("seed", 0))
    for name, least in counts:
        value = getattr(arguments, name)
        if value is not None and value < least:
            option = name.replace("_", "-")
            raise ModelError(f"--{option} must be a whole number >= {least}, got {value}")
    if arguments.folds is not None and arguments.test is not None:
        raise ModelError("--folds tests every row once: leave --test out, or take --splits")
    if arguments.splits is not None:
        share_of("test", arguments.test)


def read_parts(arguments: Namespace, counting: Callable[[str], Any]) -> tuple[Dataset, list[Part], str, bool]:
    """The data, the parts, what they are in words, and whether they are drawn from the same rows.

    Raises
    ------
    DataError
        For data that cannot be read or split.
    """
    drawn = arguments.splits is not None or arguments.folds is not None
    asked = Namespace(**{**vars(arguments), "test": None}) if drawn else arguments
    dataset = read_data(asked, counting, rows=True)
    if not drawn and dataset.test is not None:
        part = Part(name="test", train=dataset.train, test=dataset.test, validation=dataset.validation)
        return dataset, [part], "the test rows", False
    train, validation = dataset.train, dataset.validation if arguments.validation else None
    if arguments.folds is not None:
        parts = folded_parts(train, arguments.folds, seed=arguments.seed)
        words = f"{arguments.folds} folds of every task's rows (seed {arguments.seed})"
    else:
        count, share = arguments.splits or _SPLITS, share_of("test", arguments.test, _SHARE)
        assert share is not None
        parts = drawn_parts(train, count, test=share, seed=arguments.seed)
        words = f"{count} draws of {share:.3g} of every task's rows (seed {arguments.seed})"
    _check_rows(parts)
    words += _untested(parts, train, every=arguments.folds is not None)
    if validation is not None:
        parts = tuple(
            Part(name=each.name, train=each.train, test=each.test, validation=validation) for each in parts
        )
    return dataset, list(parts), words, len(parts) > 1


def _untested(parts: Sequence[Part], tasks: TaskSet, *, every: bool) -> str:
    """Of which tasks no part tests a row, or not `every` one; "" where there are none."""
    tested = Counter({task.name: 0 for task in tasks})
    for part in parts:
        tested.update({task.name: task.rows for task in part.test})
    names = [task.name for task in tasks if tested[task.name] < (task.rows if every else 1)]
    of = shown(list(map(repr, names)), 5)
    return f", but for {'some' if every else 'all'} rows of {of}: too few" if names else ""


def _check_rows(parts: Sequence[Part]) -> None:
    """`DataError` where a part leaves no task two rows to choose parameters on."""
    for part in parts:
        if part.train.rows.max() < 2:
            raise DataError(
                f"{part.name} leaves no task two training rows: parameters cannot be chosen on them; take a"
                " smaller --test, or give more rows"
            )
