"""Settings of the model: what was asked for, resolved in one place.

An option given on the command line wins over the recommended setting of a problem (or of the run.json beside
a solution), which wins over the default, which for the loss, coupling and mu is "auto". At coupling 0
(`--method stl`) there are no edges to price: mu is 0.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.data import Dataset
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment import suggest_loss
from amtl_cvx.limits import SECONDS, check_limit
from amtl_cvx.losses import losses
from amtl_cvx.plugins import is_path, term_words
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, make_model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import transfers
from amtl_cvx.weights import omegas

_log = logging.getLogger(__name__)
NO_CLASS_WEIGHT = "none"
MODEL_DEFAULTS: Mapping[str, Any] = {
    "loss": "auto",
    "reduction": "mean",
    "coupling": "auto",
    "mu": "auto",
    "transfer": "loss-weighted-l1",
    "transfer_parameters": None,
    "omega": None,
    "omega_parameters": None,
    "task_weights": "equal",
    "class_weight": NO_CLASS_WEIGHT,
    "standardize": False,
    "intercept": False,
}

NO_OMEGA = "none"
"""What --omega says for no penalty on W where a run or a problem has one."""


RUNNING_DEFAULTS: Mapping[str, Any] = {
    "method": "alternating",
    "refine": True,
    "sweep": "joint",
    "definition": False,
    "tol": 1e-8,
    "max_rounds": 500,
    "engine": "cvxpy",
    "solver": "auto",
    "seed": 0,
}
"""How a fit is carried out where neither the command line nor a run to go on from says."""


def say_reading(data: str, taken: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Warn where what a run records of the text of its table is taken for a table in another place."""
    said = " ".join(f"--{name} {taken[name]}" for name in ("decimal", "encoding") if taken.get(name))
    if said and Path(data) != Path(str(run.get("data"))):
        _log.warning("%s: %s taken from the run", Path(data).name, said)


def complete(arguments: Namespace) -> Namespace:
    """The arguments with the defaults of `RUNNING_DEFAULTS` for what they leave open."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    return Namespace(**{**vars(arguments), **RUNNING_DEFAULTS, **given})


def resolve(arguments: Namespace, recommended: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of `MODEL_DEFAULTS`: given, else recommended, else the default."""
    asked = {name: getattr(arguments, name, None) for name in MODEL_DEFAULTS}
    given = {name: value for name, value in asked.items() if value is not None}
    settings = {
        **MODEL_DEFAULTS,
        **{name: recommended[name] for name in MODEL_DEFAULTS if name in recommended},
        **given,
    }
    if "transfer" in given:
        name, words = transfers.split(given["transfer"])
        if "transfer_parameters" not in given and (words or name != recommended.get("transfer")):
            settings["transfer_parameters"] = None  # they are of another term
        settings["mu"] = term_words(words, main="mu").get("mu", settings["mu"])
    if "omega" in given:
        name, words = omegas.split(given["omega"])
        if "omega_parameters" not in given and (words or name != recommended.get("omega")):
            settings["omega_parameters"] = None  # they are of another term
        settings["omega"] = None if given["omega"] == NO_OMEGA else given["omega"]
    return _without_price(settings)


def _without_price(settings: dict[str, Any]) -> dict[str, Any]:
    """At coupling 0 there are no edges and mu has no meaning: it is 0 there, whatever was said of it."""
    try:
        alone = float(settings["coupling"]) == 0.0
    except (TypeError, ValueError):
        return settings
    return {**settings, "mu": 0.0} if alone else settings


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


def build_model(settings: Mapping[str, Any], train: TaskSet) -> tuple[Model, dict[str, bool]]:
    """The model with a stand-in where a setting is "auto", and which those are."""
    values, auto = {}, {}
    for name in ("coupling", "mu"):
        auto[name] = str(settings[name]).lower() == "auto"
        values[name] = 1.0 if auto[name] else number(name, settings[name])
    loss = suggest_loss(train) if settings["loss"] == "auto" else settings["loss"]
    model = make_model(
        loss=loss,
        reduction=settings["reduction"],
        transfer=settings["transfer"],
        transfer_parameters=settings["transfer_parameters"],
        omega=settings["omega"],
        omega_parameters=settings["omega_parameters"],
        task_weights=settings["task_weights"],
        **values,
    ).bind(train)
    return model, auto


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
