"""The commands behind `amtl-cvx`: each takes the parsed arguments and returns an exit code.

What a user asked for is resolved in one place (`_settings`): an option given on the command line wins over
the recommended setting of a problem, which wins over the default, which for coupling and mu is "auto".
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import signal
import sys
import tempfile
import threading
import warnings
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from amtl_cvx import solvers as solver_table
from amtl_cvx.certificate import LEVELS, Certificate
from amtl_cvx.cli import EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNCERTIFIED
from amtl_cvx.coordinator import Options
from amtl_cvx.data import Dataset, FeatureTable, problem_names, read, read_features
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment import Choice, choose, score, suggest_loss
from amtl_cvx.graph import TransferGraph
from amtl_cvx.methods import fit as fit_method
from amtl_cvx.methods import method_named
from amtl_cvx.model import Model, make_model
from amtl_cvx.preparation import Preparation
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import (
    RunFolder,
    StoredRun,
    model_from_dict,
    model_to_dict,
    read_history,
    read_run,
    umask,
)
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import Array, TaskSet, task_index

MODEL_DEFAULTS: Mapping[str, Any] = {
    "loss": "auto",
    "reduction": "mean",
    "coupling": "auto",
    "mu": "auto",
    "transfer": "loss-weighted-l1",
    "task_weights": "equal",
    "standardize": False,
    "intercept": False,
}


# fit


def fit(arguments: Namespace) -> int:
    """`amtl-cvx fit`."""
    options = _options(arguments)
    with RunFolder(arguments.out) as folder, Progress(quiet=arguments.quiet, tol=options.tol) as progress:
        progress.phase(f"reading {arguments.data}")
        dataset = read(arguments.data, task=arguments.task, target=arguments.target)
        dataset = dataclasses.replace(dataset, name=_text(dataset.name), source=_text(dataset.source))
        settings = _settings(arguments, dataset.settings)
        preparation = _preparation(settings, dataset)
        train = preparation.apply_tasks(dataset.train)
        model, auto = _model(settings, train)
        model.check(train)
        choice, stopped = _choice(train, model, auto, options, arguments.seed, progress)
        if not stopped:
            progress.phase("compiling the subproblems")
        options = dataclasses.replace(options, callback=progress.stop if stopped else progress.record)
        solution = fit_method(train, choice.model, method=arguments.method, options=options)
        solution = dataclasses.replace(solution, preparation=None if preparation.is_identity else preparation)
        with _no_interrupts():  # the point is there, and DIR is written whole
            progress.phase("drawing the graph and writing the report")
            scores = _scores(solution, dataset, preparation, options)
            folder.write(
                solution,
                dataset=dataset,
                arguments={**_recorded(arguments), **settings},
                seed=arguments.seed,
                scores=scores,
                choice=_choice_dict(choice) if any(auto.values()) else None,
            )
    if not arguments.quiet:
        _print_fit(solution, choice, dataset, scores, arguments)
    if solution.status is Status.INTERRUPTED:
        what = (
            "before coupling and mu were chosen, the single-task point"
            if stopped
            else "the best point so far"
        )
        print(f"interrupted: {what} is in {arguments.out}", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    return EXIT_DONE if solution.certificate.passes else EXIT_UNCERTIFIED


def _options(arguments: Namespace) -> Options:
    """How to run; `AMTLError` for a method, seed or option that is none."""
    method_named(arguments.method)
    if arguments.seed < 0:
        raise ModelError(f"--seed must be a whole number >= 0, got {arguments.seed}")
    return Options(
        tol=arguments.tol,
        max_rounds=arguments.max_rounds,
        refine=not arguments.no_refine,
        sweep=arguments.sweep,
        definition=arguments.definition,
        solver=arguments.solver,
    )


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C waits for nothing here and does nothing; only the main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _preparation(settings: Mapping[str, Any], dataset: Dataset) -> Preparation:
    return Preparation.learn(
        dataset.train, standardize=bool(settings["standardize"]), intercept=bool(settings["intercept"])
    )


def _settings(arguments: Namespace, recommended: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        name: getattr(arguments, name) for name in MODEL_DEFAULTS if getattr(arguments, name) is not None
    }
    return {
        **MODEL_DEFAULTS,
        **{name: recommended[name] for name in MODEL_DEFAULTS if name in recommended},
        **given,
    }


def _model(settings: Mapping[str, Any], train: TaskSet) -> tuple[Model, dict[str, bool]]:
    """The model with a stand-in where a setting is "auto", and which those are."""
    values, auto = {}, {}
    for name in ("coupling", "mu"):
        auto[name] = str(settings[name]).lower() == "auto"
        values[name] = 1.0 if auto[name] else _number(name, settings[name])
    loss = suggest_loss(train) if settings["loss"] == "auto" else settings["loss"]
    model = make_model(
        loss=loss,
        reduction=settings["reduction"],
        transfer=settings["transfer"],
        task_weights=settings["task_weights"],
        **values,
    )
    return model, auto


def _number(name: str, text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ModelError(f"--{name} must be a number or auto, got {text!r}") from error


def _choice(
    train: TaskSet, model: Model, auto: Mapping[str, bool], options: Options, seed: int, progress: Progress
) -> tuple[Choice, bool]:
    """The model with what `auto` chose, and whether the choice was interrupted."""
    if not any(auto.values()):
        return Choice(model=model), False
    progress.phase(f"choosing {' and '.join(name for name, wanted in auto.items() if wanted)}")
    try:
        rng = np.random.default_rng(seed)
        return choose(train, model, **auto, rng=rng, observe=progress.trial, solver=options.solver), False
    except KeyboardInterrupt:
        return Choice(model=model), True


def _scores(
    solution: Solution, dataset: Dataset, preparation: Preparation, options: Options
) -> dict[str, Mapping[str, float]]:
    """Test scores of the solution and, beside them, of single-task learning; empty without a test part."""
    if dataset.test is None or solution.status is Status.INTERRUPTED:
        return {}
    test, classes = preparation.apply_tasks(dataset.test), dataset.classes is not None
    scores = {solution.method: score(solution, test, classes=classes)}
    if solution.method != "stl":
        train = preparation.apply_tasks(dataset.train)
        single = fit_method(
            train, solution.model, method="stl", options=dataclasses.replace(options, callback=None)
        )
        scores["stl"] = score(single, test, classes=classes)
    return scores


def _choice_dict(choice: Choice) -> dict[str, Any]:
    return {
        "coupling": choice.model.coupling,
        "mu": choice.model.mu,
        "mu_max": choice.mu_max,
        "trials": [dataclasses.asdict(trial) for trial in choice.trials],
    }


def _print_fit(
    solution: Solution,
    choice: Choice,
    dataset: Dataset,
    scores: Mapping[str, Mapping[str, float]],
    arguments: Namespace,
) -> None:
    train, model, certificate = dataset.train, solution.model, solution.certificate
    lines = [
        f"{dataset.name}: {train.T} tasks, {train.d} features, {int(train.counts.sum())} rows;"
        f" {model.loss.name} loss ({model.loss.reduction}), coupling {model.coupling:.4g}, mu {model.mu:.4g}"
    ]
    if choice.trials or choice.mu_max is not None:
        lines.append(choice.sentence())
    lines += [
        f"status: {solution.status.value}, {solution.status.text}",
        f"objective {solution.objective:.12g}; {certificate.verdict()}",
    ]
    if not certificate.passes and solution.status is not Status.INTERRUPTED:
        lines += _shortfall(certificate, arguments)
    lines.append(solution.graph.describe())
    for name, values in scores.items():
        lines.append(f"test, {name}: {', '.join(f'{key} {value:.4g}' for key, value in values.items())}")
    spent, report = solution.seconds.get("total", 0.0), arguments.out / "report.html"
    lines.append(f"wrote {arguments.out} in {spent:.1f} s of fitting; open {report}")
    print("\n".join(lines))  # noqa: T201


def _shortfall(certificate: Certificate, arguments: Namespace) -> list[str]:
    """What misses which limit, and the next thing to try."""
    missed = []
    if certificate.relative > certificate.tol:
        missed.append(f"the relative residual is {certificate.relative:.1e}, its limit {certificate.tol:.0e}")
    gaps = (certificate.gap_W if certificate.gap_W_exact else None, certificate.gap_B)
    gap, limit = sum(value or 0.0 for value in gaps), certificate.tol * abs(certificate.objective)
    if gap > limit:
        missed.append(f"the duality gaps sum to {gap:.1e}, their limit (tol times objective) is {limit:.1e}")
    rounds = f"--max-rounds above {arguments.max_rounds}"
    if certificate.relative <= certificate.tol:  # gaps are held against J, which is 0 by now
        advice = "more rows, fewer features or a larger --mu keep the objective from 0, or a larger --tol"
        return [f"not certified: {'; '.join(missed)}", f"next: {advice}"]
    if arguments.method != "alternating":
        rounds = "another --solver, or a larger --tol"
    elif arguments.no_refine:
        rounds = f"leave out --no-refine, or {rounds}"
    else:
        rounds = f"{rounds}, a larger --coupling, another --solver, or a larger --tol"
    return [f"not certified: {'; '.join(missed) or 'B is not feasible'}", f"next: {rounds}"]


# certify


def certify(arguments: Namespace) -> int:
    """`amtl-cvx certify`."""
    if arguments.level not in LEVELS:
        raise ModelError(f"--level must be one of {', '.join(LEVELS)}, got {arguments.level!r}")
    stored = read_run(arguments.solution)
    recorded = stored.arguments
    columns = {name: getattr(arguments, name) for name in ("task", "target")}
    if arguments.data.lower().endswith(".csv"):
        columns = {name: value or recorded.get(name) for name, value in columns.items()}
    dataset = read(arguments.data, **columns)
    model, tasks = _stored_problem(arguments, stored, dataset)
    tol = arguments.tol if arguments.tol is not None else _number("tol", recorded.get("tol", 1e-8))
    method = arguments.method or str(stored.run.get("method", "alternating"))
    certificate = method_named(method).judge(tasks, model, stored.W, stored.B, stored.order, tol)
    if arguments.json:
        print(json.dumps(certificate.to_dict(), indent=2))  # noqa: T201
    else:
        _print_certificate(certificate, model)
        if stored.data.get("fingerprint", dataset.train.fingerprint()) != dataset.train.fingerprint():
            print("note: these are not the data of the run (their hash differs)")  # noqa: T201
    reached = certificate.level is not None and certificate.level >= arguments.level
    return EXIT_DONE if reached else EXIT_UNCERTIFIED


def _stored_problem(arguments: Namespace, stored: StoredRun, dataset: Dataset) -> tuple[Model, TaskSet]:
    """The model and the prepared tasks: options given now, else those of run.json, else the problem's own."""
    flags = {
        name: stored.arguments[name] for name in ("standardize", "intercept") if name in stored.arguments
    }
    settings = _settings(arguments, {**dataset.settings, **flags, **(stored.run.get("model") or {})})
    if arguments.standardize is None and arguments.intercept is None and stored.run:
        tasks = dataset.train if stored.preparation is None else stored.preparation.apply_tasks(dataset.train)
    else:
        tasks = _preparation(settings, dataset).apply_tasks(dataset.train)
    for name in ("coupling", "mu"):
        if str(settings[name]).lower() == "auto":
            raise ModelError(f"--{name} is not known: give a number, or keep run.json beside the solution")
    if settings["loss"] == "auto":
        settings["loss"] = suggest_loss(tasks)
    values = {name: _number(name, settings[name]) for name in ("coupling", "mu")}
    return model_from_dict({**{key: settings[key] for key in _MODEL_KEYS}, **values}), tasks


_MODEL_KEYS = ("loss", "reduction", "transfer", "task_weights")


def _print_certificate(certificate: Certificate, model: Model) -> None:
    lines = [
        certificate.verdict(),
        *(line for line in certificate.sentences() if line != certificate.verdict()),
    ]
    if not certificate.passes:
        lines.append(_next_thing(certificate, model))
    print("\n".join(lines))  # noqa: T201


def _next_thing(certificate: Certificate, model: Model) -> str:
    if certificate.feasibility > 0:
        return "next: clip B at 0 and clear its diagonal, then judge again"
    return (
        f"next: check the model (loss {model.loss.name}, {model.loss.reduction}, coupling {model.coupling:g},"
        f" mu {model.mu:g}), then run the solver longer; `amtl-cvx fit` gives a reference point"
    )


# predict


def predict(arguments: Namespace) -> int:
    """`amtl-cvx predict`."""
    stored = read_run(arguments.run)
    model = stored.model
    table = read_features(arguments.rows, task=arguments.task, target=arguments.target)
    _check_columns(table, stored)
    X = table.X if stored.preparation is None else stored.preparation.apply(table.X)
    if X.shape[1] != len(stored.W):
        raise DataError(f"expected rows with {len(stored.W)} features, {arguments.rows} has {X.shape[1]}")
    header, rows = _predictions(stored, model, X @ stored.W, table.task)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    if arguments.out is None:
        sys.stdout.write(text.getvalue())
    else:
        _write_whole(arguments.out, text.getvalue().encode())
    return EXIT_DONE


def _check_columns(table: FeatureTable, stored: StoredRun) -> None:
    known = stored.feature_names
    if known is not None and table.feature_names is not None and table.feature_names != known:
        different = next(
            (pair for pair in zip(known, table.feature_names, strict=False) if pair[0] != pair[1]), None
        )
        what = f"{different[0]!r} came as {different[1]!r}" if different else f"{len(known)} were expected"
        raise DataError(
            f"the columns are not those of the fit: {what}; keep their names and order, and name the columns"
            " of the task and the target with --task and --target"
        )


def _predictions(
    stored: StoredRun, model: Model, scores: Array, task: Sequence[Any] | np.ndarray | None
) -> tuple[list[str], list[list[Any]]]:
    """One prediction per row where each row has a task, else one column per task (and the class)."""
    names = stored.task_names
    if task is not None:
        index = [task_index(names, value if isinstance(value, str) else int(value)) for value in task]
        chosen = scores[np.arange(len(scores)), index]
        decided = model.loss.decide(chosen)
        return ["row", "task", "prediction", "score"], [
            [i, names[t], f"{decided[i]:.17g}", f"{chosen[i]:.17g}"] for i, t in enumerate(index)
        ]
    classes = stored.run.get("classes")
    header = ["row", *(["class"] if classes else []), *names]
    return header, [
        [i, *([classes[int(np.argmax(row))]] if classes else []), *(f"{z:.17g}" for z in row)]
        for i, row in enumerate(scores)
    ]


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file at once or not at all; what a symbolic link points to is replaced, not the link."""
    work = None
    try:
        target = path.resolve()
        if not target.exists() or target.is_file():
            handle, work = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(work, target.stat().st_mode if target.exists() else 0o666 & ~umask())
            os.replace(work, target)
        else:  # a device, such as /dev/stdout
            target.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}: choose another --out") from error
    finally:
        if work is not None:
            Path(work).unlink(missing_ok=True)


# plot


def plot(arguments: Namespace) -> int:
    """`amtl-cvx plot`."""
    from amtl_cvx import plotting

    if arguments.out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ModelError(f"--out must end in .png, .svg or .pdf, got {arguments.out.name!r}")
    stored = read_run(arguments.run)
    graph = TransferGraph(
        B=stored.B, names=stored.task_names, losses=stored.losses, threshold=arguments.threshold
    )
    name = str(stored.data.get("name", arguments.run.name))
    if arguments.kind == "convergence":
        tol = _number("tol", stored.arguments.get("tol", 1e-8))
        figure = plotting.convergence_figure(read_history(arguments.run), tol=tol)
    elif arguments.kind == "truth":
        truth = read(name).truth_B if name in problem_names() else None
        if truth is None:
            raise DataError(
                f"no truth is known for {name}: --kind truth needs a problem with a planted graph"
            )
        figure = plotting.truth_figure(graph, truth)
    else:
        draw = {"graph": plotting.graph_figure, "heatmap": plotting.heatmap, "node-link": plotting.node_link}
        figure = draw[arguments.kind](graph, title=name)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a character that the font lacks is drawn as a box
        figure.savefig(content, format=arguments.out.suffix[1:].lower(), dpi=150)
    _write_whole(arguments.out, content.getvalue())
    return EXIT_DONE


# solvers


def solvers(arguments: Namespace) -> int:
    """`amtl-cvx solvers`."""
    rows = solver_table.available()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))  # noqa: T201
        return EXIT_DONE
    from rich.table import Table

    table = Table(title="solvers", title_justify="left")
    for column in ("solver", "usable", "version", "steps", "why not"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.name, "yes" if row.usable else "no", row.version, row.role, row.reason)
    _Console().print(table)
    return EXIT_DONE


class _Console(Console):
    """A console that leaves a closed pipe to `main`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _recorded(arguments: Namespace) -> dict[str, Any]:
    values = {
        name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()
    }
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(value: str) -> str:
    """A name that every file can hold; bytes of a path that are no UTF-8 become "?"."""
    return value.encode("utf-8", "replace").decode()


__all__ = ["certify", "fit", "model_to_dict", "plot", "predict", "solvers"]
