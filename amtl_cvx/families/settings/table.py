"""A setting, the table of those of a family, and the settings that every family has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting and its option: ``gamma_per`` is --gamma-per.

    Parameters
    ----------
    name, words : str
        As run.json has it, and what --help says.
    default : object
        What it is where nobody says; None where there is no default.
    needed : bool
        Whether a fit is refused without it.
    kind : callable
        What makes a value of the text; `float` and `int` refuse all but numbers, wherever they come from.
    choices : tuple of str, optional
        The values there are.
    switch : bool
        Whether it is --name or --no-name.
    begins : bool
        Whether it says where the fit begins, as --start does.
    metavar : str
        What stands for the value in --help.
    """

    name: str
    words: str
    default: Any = None
    needed: bool = False
    kind: Callable[[Any], Any] = str
    choices: tuple[str, ...] | None = None
    switch: bool = False
    begins: bool = False
    metavar: str = "X"

    @property
    def option(self) -> str:
        """As it is written on the command line."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a family can be told.

    Parameters
    ----------
    family, title : str
        Its name in files, and what the help calls it.
    methods : tuple of str
        Those of the family, the default one first.
    model : tuple of Setting
        What is minimised, beside `SHARED`: options of every command that has a model.
    fit : tuple of Setting
        How it is fitted: options of `fit` alone.
    kept : mapping
        Settings that have no option, with their defaults.
    auto : tuple of str
        Which of the model may be left to the data (``auto``).
    further : tuple of str
        Options of commands that have a meaning for this family and not for every other one.
    """

    family: str
    title: str
    methods: tuple[str, ...]
    model: tuple[Setting, ...]
    fit: tuple[Setting, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)
    auto: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Setting]:
        return iter((*self.model, *self.fit))

    @property
    def names(self) -> frozenset[str]:
        """The options of the family, those that all share apart."""
        return frozenset((*(setting.name for setting in self), *self.further))

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings of the model by name, with their defaults."""
        return {setting.name: setting.default for setting in (*SHARED, *self.model)} | dict(self.kept)

    @property
    def running(self) -> dict[str, Any]:
        """The settings of the fit that have a default, with it."""
        return {each.name: each.default for each in self.fit if each.default is not None}

    @property
    def words(self) -> str:
        """The options of the model in a line."""
        return ", ".join(setting.option for setting in self.model)


SHARED = (
    Setting(
        name="loss",
        words="auto, squared, huber[:K], quantile[:tau], poisson, logistic, squared-hinge, hinge, or your own"
        " MODULE:CLASS",
        default="auto",
        metavar="NAME",
    ),
    Setting(name="reduction", words="over a task's rows (mean)", default="mean", choices=("mean", "sum")),
    Setting(name="task_weights", words="equal or inverse-sqrt", default="equal", metavar="NAME"),
    Setting(
        name="class_weight",
        words="balanced: rows count so that both classes of a task weigh the same (default: none)",
        default="none",
        choices=("balanced", "none"),
    ),
    Setting(name="standardize", words="centre and scale the features", default=False, switch=True),
    Setting(
        name="intercept",
        words="append a column of ones, penalised and transferred like any feature: centre a target whose"
        " mean is large",
        default=False,
        switch=True,
    ),
)
"""What a model of any family has: its loss, the weights of its tasks and rows, prepared features."""
