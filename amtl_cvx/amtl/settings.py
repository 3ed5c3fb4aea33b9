"""The settings of AMTL by the words of the command line: what one says of another, and the model they make.

At coupling 0 (`--method stl`) there are no edges to price: mu is 0. Parameters of a penalty, which run.json
holds beside its name, are left out where another penalty is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import term_words
from amtl_cvx.problem import Model, make_model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import transfers
from amtl_cvx.weights import omegas

NO_OMEGA = "none"
"""What --omega says for no penalty on W where a run or a problem has one."""


def settled(
    settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """As `Family.settled`."""
    settings = dict(settings)
    if "transfer" in given:
        name, words = transfers.split(given["transfer"])
        if "transfer_parameters" not in given and (words or name != known.get("transfer")):
            settings["transfer_parameters"] = None  # they are of another term
        settings["mu"] = term_words(words, main="mu").get("mu", settings["mu"])
    if "omega" in given:
        name, words = omegas.split(given["omega"])
        if "omega_parameters" not in given and (words or name != known.get("omega")):
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


def made(settings: Mapping[str, Any], tasks: TaskSet) -> Model:
    """As `Family.made`; coupling and mu are 1 where they are left to auto."""
    return make_model(
        loss=settings["loss"],
        reduction=settings["reduction"],
        transfer=settings["transfer"],
        transfer_parameters=settings["transfer_parameters"],
        omega=settings["omega"],
        omega_parameters=settings["omega_parameters"],
        task_weights=settings["task_weights"],
        coupling=_number("coupling", settings["coupling"]),
        mu=_number("mu", settings["mu"]),
    ).bind(tasks)


def _number(name: str, text: Any) -> float:
    """The value of a setting; `ModelError` for what is neither a number nor auto."""
    if str(text).lower() == "auto":
        return 1.0
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ModelError(f"--{name} must be a number or auto, got {text!r}") from error
