"""`amtl-cvx certify`: judge a W, B from any source against data and a model."""

from __future__ import annotations

import json
from argparse import Namespace

from amtl_cvx.certificate import LEVELS, Certificate
from amtl_cvx.commands.rows import confirmed, keep_rows
from amtl_cvx.commands.settings import learn_preparation, number, resolve
from amtl_cvx.data import Dataset, read
from amtl_cvx.errors import Exit, ModelError
from amtl_cvx.experiment import suggest_loss
from amtl_cvx.methods import method_named
from amtl_cvx.model import Model
from amtl_cvx.preparation import Preparation
from amtl_cvx.runfolder import StoredRun, model_from_dict, read_run
from amtl_cvx.solution import Point

_AS_IT_IS = {"standardize": False, "intercept": False}
_MODEL_KEYS = ("loss", "reduction", "transfer", "task_weights")


def certify(arguments: Namespace) -> Exit:
    """`amtl-cvx certify`."""
    if arguments.level not in LEVELS:
        raise ModelError(f"--level must be one of {', '.join(LEVELS)}, got {arguments.level!r}")
    stored = read_run(arguments.solution)
    recorded = stored.arguments
    columns = {name: getattr(arguments, name) for name in ("task", "target")}
    if arguments.data.lower().endswith((".csv", ".parquet")):
        columns = {name: value or recorded.get(name) for name, value in columns.items()}
    loss = arguments.loss or (stored.run.get("model") or {}).get("loss")
    dataset = read(arguments.data, **columns, keep_rows=keep_rows(loss))
    model, preparation = _stored_problem(arguments, stored, dataset)
    tasks = preparation.apply_tasks(dataset.train)
    tol = arguments.tol if arguments.tol is not None else number("tol", recorded.get("tol", 1e-8))
    method = arguments.method or str(stored.run.get("method", "alternating"))
    ridge = arguments.ridge if arguments.ridge is not None else recorded.get("ridge")
    point = Point(stored.W, stored.B, stored.order, None if ridge is None else float(ridge))
    certificate = method_named(method).judge(tasks, model, point, tol)
    certificate = confirmed(certificate, dataset, model, point.W, preparation=preparation)
    if arguments.json:
        print(json.dumps(certificate.to_dict(), indent=2))  # noqa: T201
    else:
        _print_certificate(certificate, model, stored)
        if stored.data.get("fingerprint", dataset.train.fingerprint()) != dataset.train.fingerprint():
            print("note: these are not the data of the run (their hash differs)")  # noqa: T201
    reached = certificate.level is not None and certificate.level >= arguments.level
    return Exit.DONE if reached else Exit.UNCERTIFIED


def _stored_problem(arguments: Namespace, stored: StoredRun, dataset: Dataset) -> tuple[Model, Preparation]:
    """The model and the preparation: options given now, else those of run.json, else the problem's own."""
    flags = {
        name: stored.arguments[name] for name in ("standardize", "intercept") if name in stored.arguments
    }
    settings = resolve(arguments, {**dataset.settings, **flags, **(stored.run.get("model") or {})})
    if arguments.standardize is None and arguments.intercept is None and stored.run:
        preparation = stored.preparation or learn_preparation(_AS_IT_IS, dataset)
    else:
        preparation = learn_preparation(settings, dataset)
    for name in ("coupling", "mu"):
        if str(settings[name]).lower() == "auto":
            raise ModelError(f"--{name} is not known: give a number, or keep run.json beside the solution")
    if settings["loss"] == "auto":
        settings["loss"] = suggest_loss(dataset.train)
    values = {name: number(name, settings[name]) for name in ("coupling", "mu")}
    return model_from_dict({**{key: settings[key] for key in _MODEL_KEYS}, **values}), preparation


def _print_certificate(certificate: Certificate, model: Model, stored: StoredRun) -> None:
    lines = [
        certificate.verdict(),
        *(line for line in certificate.sentences() if line != certificate.verdict()),
    ]
    if not certificate.passes:
        lines.append(_next_thing(certificate, model, stored))
    print("\n".join(lines))  # noqa: T201


def _next_thing(certificate: Certificate, model: Model, stored: StoredRun) -> str:
    if certificate.kind == "single-task" and stored.B.any():
        return "next: judge it with --method alternating, or set B to 0"
    if certificate.feasibility > 0:
        return "next: clip B at 0 and clear its diagonal, then judge again"
    return (
        f"next: check the model (loss {model.loss.name}, {model.loss.reduction}, coupling {model.coupling:g},"
        f" mu {model.mu:g}), then run the solver longer; `amtl-cvx fit` gives a reference point"
    )
