"""A model from names, and one that fits its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.losses import make_loss
from amtl_cvx.problem.given import shown
from amtl_cvx.problem.model import Model
from amtl_cvx.problem.parameters import from_stored
from amtl_cvx.tasks import TaskSet, check_tasks
from amtl_cvx.transfer import make_transfer
from amtl_cvx.weights import make_omega


def check_problem(tasks: object, model: object) -> Model:
    """`model` for these tasks, or an error that says what was expected in the place of `tasks` or `model`."""
    check_tasks(tasks)
    if not isinstance(model, Model):
        raise ModelError(
            f"expected a Model, got {shown(model)}: give"
            " Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)"
        )
    return model.bind(tasks) if isinstance(tasks, TaskSet) else model


def make_model(
    *,
    loss: str = "squared",
    reduction: str = "mean",
    transfer: str = "loss-weighted-l1",
    mu: float,
    coupling: float,
    task_weights: str | tuple[float, ...] = "equal",
    transfer_parameters: Mapping[str, Any] | None = None,
    omega: str | None = None,
    omega_parameters: Mapping[str, Any] | None = None,
) -> Model:
    """A model from the names that the command line and run.json use; `ModelError` names the legal ones.

    `transfer_parameters` are those of the penalty besides mu, `omega_parameters` those of the penalty on W,
    as `Model.to_dict` gives them.
    """
    parameters, of_omega = (
        {name: from_stored(value) for name, value in (stored or {}).items()}
        for stored in (transfer_parameters, omega_parameters)
    )
    return Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=make_transfer(transfer, mu=mu, parameters=parameters),
        coupling=coupling,
        task_weights=task_weights,
        omega=None if omega is None else make_omega(omega, parameters=of_omega),
    )


def made_from(stored: Mapping[str, Any]) -> Model:
    """The model that `Model.to_dict` described; anything may be raised for what it did not write."""
    weights = stored["task_weights"]
    return make_model(
        loss=stored["loss"],
        reduction=stored["reduction"],
        transfer=stored["transfer"],
        mu=float(stored["mu"]),
        coupling=float(stored["coupling"]),
        task_weights=weights if isinstance(weights, str) else tuple(float(c) for c in weights),
        transfer_parameters=stored.get("transfer_parameters"),
        omega=stored.get("omega"),
        omega_parameters=stored.get("omega_parameters"),
    )
