"""What `tune` is asked for: the method and its grid, what is held, and the rows that judge.

    --grid NAME=VALUES    a parameter of the method, or `rounds`
    --NAME VALUE          a parameter that is held, or a setting of the model that the method leaves open
    neither               a grid in units of the data

Settings that the name of the method stands for cannot be said otherwise, and of what a problem recommends
only the loss and the preparation are taken: a name means the same on all data. Features are prepared split by
split, as the training rows of each say.
"""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from amtl_cvx.commands.named import translated
from amtl_cvx.commands.parts import Part
from amtl_cvx.commands.settings import NO_CLASS_WEIGHT, check_options, complete, is_auto, setting_number
from amtl_cvx.data import Dataset
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.tuning import Axis, Splits
from amtl_cvx.experiment.tuning import Part as Fold
from amtl_cvx.experiment.tuning.axes import ROUNDS, axes_of
from amtl_cvx.experiment.tuning.plan import EngineChoice
from amtl_cvx.families import Settings, settings_of
from amtl_cvx.families.settings import SHARED
from amtl_cvx.families.settings.named import NamedMethod, named

_PREPARATION = ("standardize", "intercept", "class_weight")
_METHOD = "amtl"
_ANY = {"alternating": "amtl", "curriculum": "amtl-curriculum"}
"""Methods of AMTL that go with any penalty, and the names of those that have its own."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """The arguments of a tuning, read.

    Attributes
    ----------
    arguments : Namespace
        With what the name of the method stands for and the defaults of a fit.
    given : Namespace
        As they were given.
    engine : str
        As it was given, "auto" without.
    """

    arguments: Namespace
    given: Namespace
    method: NamedMethod
    table: Settings
    grid: tuple[Axis, ...]
    engine: EngineChoice

    def settings(self, recommended: Mapping[str, Any]) -> dict[str, Any]:
        """What is said of the model and its features, by a problem or the command line."""
        shared = {each.name: each.default for each in SHARED}
        known = {name: recommended[name] for name in shared if name in recommended}
        given = {
            name: value
            for name in self.table.defaults
            if (value := getattr(self.given, name, None)) is not None and not is_auto(value)
        }
        said = {**shared, **known, **given, **self.method.fixed}
        return {name: self._value(name, value) for name, value in said.items()}

    def _value(self, name: str, value: Any) -> Any:
        """The value of a setting, a number where it is one."""
        kinds: dict[str, object] = {each.name: each.kind for each in self.table.model}
        kinds |= {each.name: each.kind for each in self.method.parameters}
        said = f"--{name.replace('_', '-')} of --method {self.method.name}"
        for kind in (int, float):
            if kinds.get(name) is kind:
                return setting_number(said, kind, value)
        return value

    def held(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the settings that are of the model, and not what its name stands for."""
        left = {*_PREPARATION, *self.method.fixed}
        return {name: value for name, value in settings.items() if name not in left}

    def splits(self, dataset: Dataset, settings: Mapping[str, Any]) -> Splits:
        """The rows that judge, prepared; `AMTLError` for what cannot be split so."""
        asked = self.arguments
        if asked.held_out is not None:
            splits = Splits.held_out(dataset.train, _share(asked.held_out), asked.seed)
        elif dataset.validation is not None and asked.folds is None:
            splits = Splits.validation(dataset.train, dataset.validation)
        else:
            folds = {} if asked.folds is None else {"k": asked.folds}
            splits = Splits.folds(dataset.train, seed=asked.seed, **folds)
        if len(splits) == 1 and asked.rule == "one-se":
            raise ModelError(f"--rule one-se needs two splits at least, got {splits.words}: give --folds")
        if settings["standardize"] or settings["intercept"]:
            splits = splits.prepared(
                standardize=bool(settings["standardize"]), intercept=bool(settings["intercept"])
            )
        if settings["class_weight"] == NO_CLASS_WEIGHT:
            return splits
        balanced = [Fold(part.train.balanced(), part.held, part.index) for part in splits]
        return dataclasses.replace(splits, parts=tuple(balanced))


def asked_of(arguments: Namespace) -> Asked:
    """What the arguments ask for; `ModelError` for what cannot be asked, before anything is read."""
    method = _method(arguments.method)
    table = settings_of(method.family)
    if table is None:
        raise ModelError(f"--method {method.name} is tuned in Python alone: amtl_cvx.experiment.tuning.tune")
    check_options(Namespace(**{**vars(arguments), "method": method.name}), table)
    grid = axes_of(arguments.grid)
    _check_grid(grid, method, arguments)
    for term, fixed in method.fixed.items():
        name, _, said = str(getattr(arguments, term, None)).partition(":")
        if name == fixed and said:
            raise ModelError(f"--{term} {name}:{said}: give parameters of the method by --grid NAME=VALUE")
    for least, name in ((1, "random"), (0, "widen"), (2, "folds")):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ModelError(f"--{name} must be a whole number >= {least}, got {value}")
    whole = translated(Namespace(**{**vars(arguments), "method": method.name}))
    if whole.method == method.name and "named" not in whole:
        whole.method = method.method
    return Asked(
        arguments=complete(whole, table),
        given=arguments,
        method=method,
        table=table,
        grid=grid,
        engine=arguments.engine or "auto",
    )


def _method(name: str | None) -> NamedMethod:
    """A named method, or AMTL with any other penalties by the name of its method in the family."""
    if name in _ANY:
        return dataclasses.replace(named(_ANY[name]), name=name, title=f"AMTL ({name})", fixed={})
    return named(name or _METHOD)


def _check_grid(grid: tuple[Axis, ...], method: NamedMethod, arguments: Namespace) -> None:
    """`ModelError` for a parameter that the method has not, or that is held too."""
    for axis in grid:
        if axis.name != ROUNDS or not method.rounds:
            method.parameter(axis.name)
        held = getattr(arguments, axis.name, None)
        if axis.name != ROUNDS and held is not None:
            option = f"--{axis.name.replace('_', '-')}"
            raise ModelError(f"--grid {axis.name}=... and {option} {held} are both there: leave one out")


def _share(text: str) -> float:
    share = Part(name="held-out", text=text).share
    if share is None or not 0 < share < 1:
        raise ModelError(f"--held-out must be a share between 0 and 1, such as 0.2 or 20%, got {text}")
    return share
