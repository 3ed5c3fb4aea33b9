"""What a named method is made of: its family and method, the settings that it fixes, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from amtl_cvx.errors import ModelError

if TYPE_CHECKING:
    from amtl_cvx.tasks import TaskSet

Unit = Literal["", "curvature", "length", "price"]
_FIT = "fit"
_NONE: Mapping[str, Any] = MappingProxyType({})
_PREPARED: Mapping[str, Any] = MappingProxyType(
    {"standardize": False, "intercept": False, "class_weight": "none"}
)
"""Settings that are done to the tasks and not to the model, with what they are where nothing is done."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a grid may go over.

    Parameters
    ----------
    name, words : str
        As it is written, and what it is.
    values : tuple
        The grid where nobody gives one, in units of `unit`.
    unit : {"", "curvature", "length", "price"}
        What a value of 1 is on the data.
    into : (setting, key), optional
        The term whose parameter it is: ("omega", "rho"); ("fit", "reading") is a setting of the fit
        (`Options`). By default it is a setting of the model by itself.
    kind : callable
        `float`, `int` or `str`.
    default : object
        What it is where nobody says it; None where it has to be said.
    """

    name: str
    words: str
    values: tuple[Any, ...]
    unit: Unit = ""
    into: tuple[str, str] | None = None
    kind: type = float
    default: Any = None


@dataclass(frozen=True, kw_only=True)
class NamedMethod:
    """A method by its name in the paper's tables.

    Parameters
    ----------
    name, title : str
        As it is asked for, and as a table calls it.
    family, method : str
        The family and its method that fit it.
    parameters : tuple of Parameter
        What is to be chosen, the most important one first.
    fixed : mapping
        Settings that the name stands for.
    convex : bool
        Whether its problem is convex: every fit ends at the same objective, wherever it begins.
    rounds : bool
        Whether it goes in rounds, after each of which it may be stopped.
    words, source : str
        What it is, and where it is from.

    Examples
    --------
    >>> from amtl_cvx import named
    >>> named("mtfl").settings({"rho": 0.5})
    {'coupling': 0.0, 'mu': 0.0, 'omega': 'trace-squared:rho=0.5'}
    """

    name: str
    title: str
    family: str
    method: str
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    convex: bool = False
    rounds: bool = False
    words: str = ""
    source: str = ""

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; `ModelError` lists those there are."""
        for each in self.parameters:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.parameters) + (", rounds" if self.rounds else "")
        raise ModelError(f"{self.name} has no parameter {name!r}: choose among {known}")

    @property
    def needed(self) -> tuple[str, ...]:
        """The parameters without a value of their own: all but those that their term has one for."""
        return tuple(each.name for each in self.parameters if each.default is None)

    def model(
        self, tasks: TaskSet, parameters: Mapping[str, Any], *, settings: Mapping[str, Any] = _NONE
    ) -> Any:
        """The model of these tasks.

        Parameters
        ----------
        tasks : TaskSet
            The data, features prepared.
        parameters : mapping
            A value of each parameter.
        settings : mapping
            Further settings of the family's table: the loss, weights of tasks.

        Raises
        ------
        ModelError, DataError
            For a parameter that is missing, settings that contradict the name, and what makes no model of
            these tasks.

        Examples
        --------
        >>> import numpy as np
        >>> from amtl_cvx import TaskSet, fit, named
        >>> tasks = TaskSet.from_matrix(np.eye(3), [[1.5, 1.0], [2.0, 1.0], [0.0, 1.0]])
        >>> model = named("mtfl").model(tasks, {"rho": 0.1})
        >>> fit(tasks, model, method="mtfl").certificate.level
        'C5'
        """
        from amtl_cvx.families import family_named, settings_of  # a help imports no family
        from amtl_cvx.tasks.suggested import suggest_loss

        table = settings_of(self.family)
        if table is None:
            raise ModelError(f"{self.name} is fitted in Python alone: make its model by hand")
        own = self.settings(parameters)
        known = {**settings, **own}
        if unknown := [name for name in known if name not in table.defaults]:
            raise ModelError(f"{self.name} has no setting {unknown[0]!r}: it has {table.words}")
        if asked := [name for name, none in _PREPARED.items() if settings.get(name, none) != none]:
            raise ModelError(
                f"{asked[0]} is no setting of a model in Python: prepare the tasks (Preparation.learn, of"
                " splits Splits.prepared; TaskSet.balanced for classes)"
            )
        if missing := [name for name in self.needed if name not in parameters and name not in settings]:
            raise ModelError(f"{self.name} needs {', '.join(missing)}: give the model a value of each")
        self.check(settings)
        family = family_named(self.family)
        made = family.settled({**table.defaults, **known}, given=known, known={})
        loss = suggest_loss(tasks) if made["loss"] == "auto" else made["loss"]
        return family.made({**made, "loss": loss}, tasks)

    def check(self, settings: Mapping[str, Any]) -> None:
        """`ModelError` for the first of the settings that the name stands otherwise for.

        A term may have parameters; those of a model, by `Model.to_dict`, stand beside it.
        """
        for name, fixed in self.fixed.items():
            if name not in settings:
                continue
            found = settings[name]
            if isinstance(fixed, str):
                told = "none" if found is None else str(found).partition(":")[0]
                same = told == fixed
            else:
                same = isinstance(found, int | float) and float(found) == fixed
            if not same:
                raise ModelError(
                    f"{self.name} stands for {name} {fixed!r}, not {found!r}: leave it out, or take"
                    f" {self.method!r} for any other"
                )

    def settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the family's table that parameters stand for, beside those of the name."""
        settings = dict(self.fixed)
        for name, value in parameters.items():
            place = self.parameter(name).into
            if place is not None and place[0] == _FIT:
                continue
            if place is None:
                settings[name] = value
                continue
            setting, key = place
            joined = "," if ":" in settings[setting] else ":"
            settings[setting] = f"{settings[setting]}{joined}{key}={value!r}"
        return settings

    def running(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the fit (`Options`) that parameters stand for."""
        places = {name: self.parameter(name).into for name in parameters}
        return {place[1]: parameters[name] for name, place in places.items() if place and place[0] == _FIT}
