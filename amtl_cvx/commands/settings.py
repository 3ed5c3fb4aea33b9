"""Settings of the model: what was asked for, resolved in one place by the table of its family.

An option given on the command line wins over the recommended setting of a problem (or of the run.json beside
a solution), which wins over the default of the table (`families.settings`). What a problem recommends is for
AMTL: of a model of another family it says how the loss is and how the features are prepared.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.data import Dataset
from amtl_cvx.errors import AMTLError, DataError, ModelError
from amtl_cvx.experiment import suggest_loss
from amtl_cvx.families import DEFAULT, Settings, all_settings, family_named, settings_of
from amtl_cvx.families.settings import SHARED
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.limits import SECONDS, check_limit
from amtl_cvx.losses import losses
from amtl_cvx.plugins import is_path
from amtl_cvx.preparation import Preparation
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import transfers
from amtl_cvx.weights import omegas

_log = logging.getLogger(__name__)
NO_CLASS_WEIGHT = "none"
RUNNING_DEFAULTS: Mapping[str, Any] = {
    "tol": 1e-8,
    "max_rounds": 500,
    "engine": "cvxpy",
    "solver": "auto",
    "seed": 0,
}
"""How a fit of any family is carried out where neither the command line nor a run to go on from says."""


def table_of(family: str) -> Settings:
    """The table of a family; `ModelError` for one that is known in Python alone."""
    table = settings_of(family)
    if table is None:
        raise ModelError(f"the command line fits no model of the family {family!r}: fit it in Python")
    return table


def check_options(arguments: Namespace, table: Settings) -> None:
    """`ModelError` for the first option that is given and of another family alone, with what to give."""
    method = getattr(arguments, "named", None) or getattr(arguments, "method", None) or table.methods[0]
    for other in all_settings():
        for name in sorted(other.names - table.names):
            if getattr(arguments, name, None) is not None:
                raise ModelError(
                    f"--{name.replace('_', '-')} is of {other.title} (--method {', '.join(other.methods)}),"
                    f" not of --method {method}, whose own are {table.words}: leave it out"
                )
    for each in table:
        value = getattr(arguments, each.name, None)
        if value is not None and each.choices is not None and value not in each.choices:
            raise ModelError(
                f"{each.option} of --method {method} must be one of {', '.join(each.choices)}, got {value!r}"
            )
    if getattr(arguments, "start", None) is not None:
        for each in table.fit:
            if each.begins and getattr(arguments, each.name) is not None:
                raise ModelError(f"{each.option} and --start both say where the fit begins: leave one out")


def say_reading(data: str, taken: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Warn where what a run records of the text of its table is taken for a table in another place."""
    said = " ".join(f"--{name} {taken[name]}" for name in ("decimal", "encoding") if taken.get(name))
    if said and Path(data) != Path(str(run.get("data"))):
        _log.warning("%s: %s taken from the run", Path(data).name, said)


def complete(arguments: Namespace, table: Settings) -> Namespace:
    """The arguments with the defaults of a fit for what they leave open.

    Where a fit begins is left out for a command that has no such option.
    """
    asked = vars(arguments)
    given = {name: value for name, value in asked.items() if value is not None}
    elsewhere = {each.name for each in table.fit if each.begins and each.name not in asked}
    running = {name: value for name, value in table.running.items() if name not in elsewhere}
    defaults = {"method": table.methods[0], **running, **RUNNING_DEFAULTS}
    return Namespace(**{**asked, **defaults, **given})


def resolve(
    arguments: Namespace,
    recommended: Mapping[str, Any],
    *,
    run: Mapping[str, Any] | None = None,
    family: str = DEFAULT,
) -> dict[str, Any]:
    """Every setting of the table: given, else of the run, else recommended by a problem, else the default.

    Raises
    ------
    ModelError
        For a setting without a default that is nowhere said, and for one that is no number.
    """
    table = table_of(family)
    defaults = table.defaults
    advised = defaults if family == recommended.get("family", DEFAULT) else {each.name for each in SHARED}
    known = {name: recommended[name] for name in defaults if name in recommended and name in advised}
    known |= {name: value for name, value in (run or {}).items() if name in defaults}
    asked = {name: getattr(arguments, name, None) for name in defaults}
    given = {name: value for name, value in asked.items() if value is not None}
    settings = family_named(family).settled({**defaults, **known, **given}, given=given, known=known)
    method = getattr(arguments, "method", None) or table.methods[0]
    missing = [each.option for each in table.model if each.needed and settings[each.name] is None]
    if missing:
        tuned = f", or let `tune --method {method}` choose them" if method in NAMED else ""
        raise ModelError(
            f"--method {method} needs {', '.join(missing)}, without a default: give numbers{tuned}"
        )
    return settings | {
        each.name: setting_number(f"{each.option} of --method {method}", each.kind, settings[each.name])
        for each in table.model
        if each.kind in (int, float)
    }


def setting_number(said: str, kind: type, value: Any) -> Any:
    """The value of a setting that is a number, whoever gave it."""
    try:
        found = kind(value)
        if isinstance(value, bool) or (found != float(value) and found == found):
            raise ValueError
        return found
    except (TypeError, ValueError, OverflowError) as error:
        what = "a whole number" if kind is int else "a number"
        raise ModelError(f"{said} must be {what}, got {value!r}") from error


def is_auto(value: Any) -> bool:
    """Whether a setting is left to the data."""
    return str(value).lower() == "auto"


def admit(arguments: Namespace) -> None:
    """Make the classes known that the options name by ``module:Class``; `ModelError` where there are none."""
    for option, plugins in (("transfer", transfers), ("loss", losses), ("omega", omegas)):
        label = getattr(arguments, option, None)
        name = plugins.split(label)[0] if isinstance(label, str) else ""
        if is_path(name) and plugins.find(name) is None:
            plugins.admit(name)


def learn_preparation(settings: Mapping[str, Any], dataset: Dataset) -> Preparation:
    """The preparation that the settings ask for, learned from the training rows."""
    return Preparation.learn(
        dataset.train, standardize=bool(settings["standardize"]), intercept=bool(settings["intercept"])
    )


def prepared(settings: Mapping[str, Any], preparation: Preparation, train: TaskSet) -> TaskSet:
    """The tasks that are fitted: prepared, and with the weights of their classes."""
    tasks = preparation.apply_tasks(train)
    return tasks if settings["class_weight"] == NO_CLASS_WEIGHT else tasks.balanced()


def build_model(
    settings: Mapping[str, Any], tasks: TaskSet, *, family: str = DEFAULT, source: str = "the command line"
) -> tuple[Any, dict[str, bool]]:
    """The model with a stand-in where a setting is "auto", and which those are.

    Raises
    ------
    ModelError, DataError
        For settings that make no model, or none for these tasks; `source` is where they are from.
    """
    loss = suggest_loss(tasks) if settings["loss"] == "auto" else settings["loss"]
    auto = {name: is_auto(settings[name]) for name in table_of(family).auto}
    try:
        return family_named(family).made({**settings, "loss": loss}, tasks), auto
    except AMTLError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source} does not describe a model ({type(error).__name__}: {error})") from error


def time_limit(arguments: Namespace) -> float:
    """--limit, or its default; `ModelError` for what is none."""
    limit = SECONDS if arguments.limit is None else arguments.limit
    check_limit(limit)
    return float(limit)


def number(name: str, text: Any) -> float:
    """The value of an option; `ModelError` for what is no number."""
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ModelError(f"--{name} must be a number or auto, got {text!r}") from error
