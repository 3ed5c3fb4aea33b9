"""`amtl-cvx fit`: read, prepare, choose, fit, judge, and leave a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from amtl_cvx.certificate import Certificate
from amtl_cvx.commands.rows import confirmed_solution, keep_rows, split_rows
from amtl_cvx.commands.settings import build_model, learn_preparation, resolve
from amtl_cvx.coordinator import Options
from amtl_cvx.data import Dataset, read
from amtl_cvx.errors import Exit, ModelError
from amtl_cvx.experiment import Choice, choose, score
from amtl_cvx.methods import fit as fit_method
from amtl_cvx.methods import method_named
from amtl_cvx.model import Model
from amtl_cvx.parallel import workers
from amtl_cvx.preparation import Preparation
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import RunFolder
from amtl_cvx.solution import Solution, Status


def fit(arguments: Namespace) -> Exit:
    """`amtl-cvx fit`."""
    options = _options(arguments)
    with (
        _handling(signal.default_int_handler, signal.SIGTERM),  # it ends a fit as Ctrl-C does
        RunFolder(arguments.out) as folder,
        Progress(quiet=arguments.quiet, tol=options.tol) as progress,
        workers(arguments.jobs, scheduler=arguments.scheduler) as executor,
    ):
        options = dataclasses.replace(options, executor=executor)
        dataset = read(
            arguments.data,
            task=arguments.task,
            target=arguments.target,
            keep_rows=keep_rows(arguments.loss),
            observe=progress.counting(f"reading {arguments.data}"),
        )
        dataset = dataclasses.replace(dataset, name=_text(dataset.name), source=_text(dataset.source))
        settings = resolve(arguments, dataset.settings)
        preparation = learn_preparation(settings, dataset)
        train = preparation.apply_tasks(dataset.train)
        model, auto = build_model(settings, train)
        model.check(train)
        choosing = functools.partial(
            choose,
            train,
            model,
            rng=np.random.default_rng(arguments.seed),
            solver=options.solver,
            gpu=options.gpu,
            split=split_rows(dataset, preparation, progress.counting),
            executor=executor,
        )
        choice, stopped = _choice(model, auto, progress, choosing)
        if not stopped:
            progress.phase("compiling the subproblems")
        options = dataclasses.replace(options, callback=progress.stop if stopped else progress.record)
        solution = fit_method(train, choice.model, method=arguments.method, options=options)
        solution = confirmed_solution(solution, dataset, preparation, progress.counting)
        solution = dataclasses.replace(solution, preparation=None if preparation.is_identity else preparation)
        with _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM):  # the point is there: DIR is written
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
    return _ending(solution, stopped, arguments.out)


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
        engine=arguments.engine,
        ridge=arguments.ridge,
        solver=arguments.solver,
        gpu=arguments.gpu,
    )


@contextlib.contextmanager
def _handling(action: Callable[[int, FrameType | None], Any] | int, *signals: int) -> Iterator[None]:
    """Do `action` on signals for a while; only the main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, action) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choice(
    model: Model, auto: Mapping[str, bool], progress: Progress, choosing: Callable[..., Choice]
) -> tuple[Choice, bool]:
    """The model with what `auto` chose, and whether the choice was interrupted."""
    if not any(auto.values()):
        return Choice(model=model), False
    progress.phase(f"choosing {' and '.join(name for name, wanted in auto.items() if wanted)}")
    try:
        return choosing(**auto, observe=progress.trial), False
    except KeyboardInterrupt:
        return Choice(model=model), True


def _scores(
    solution: Solution, dataset: Dataset, preparation: Preparation, options: Options
) -> dict[str, Mapping[str, float]]:
    """Test scores of the solution; empty without a test part.

    Beside them those of single-task learning at the model's coupling, which is the weight of its ridge and
    was not chosen for it.
    """
    if dataset.test is None or solution.status is Status.INTERRUPTED:
        return {}
    test, classes = preparation.apply_tasks(dataset.test), dataset.classes is not None
    scores = {solution.method: score(solution, test, classes=classes)}
    if solution.method != "stl":
        train = preparation.apply_tasks(dataset.train)
        single = fit_method(
            train, solution.model, method="stl", options=dataclasses.replace(options, callback=None)
        )
        scores["stl at the same coupling"] = score(single, test, classes=classes)
    return scores


def _choice_dict(choice: Choice) -> dict[str, Any]:
    return {
        "coupling": choice.model.coupling,
        "mu": choice.model.mu,
        "mu_max": choice.mu_max,
        "trials": [dataclasses.asdict(trial) for trial in choice.trials],
    }


def _ending(solution: Solution, stopped: bool, place: Path) -> Exit:
    """The exit code; an interrupted fit says what it left."""
    if solution.status is not Status.INTERRUPTED:
        return Exit.DONE if solution.certificate.passes else Exit.UNCERTIFIED
    early = "before coupling and mu were chosen, the single-task point"
    print(f"interrupted: {early if stopped else 'the best point so far'} is in {place}", file=sys.stderr)  # noqa: T201
    return Exit.INTERRUPTED


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
        lines += [certificate.reasons["rows"]] if "rows" in certificate.reasons else []
    if arguments.gpu == "on":
        lines.append(f"gpu: {solution.gpu}")
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


def _recorded(arguments: Namespace) -> dict[str, Any]:
    """The arguments as run.json keeps them."""
    values = {
        name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()
    }
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(value: str) -> str:
    """A name that every file can hold; bytes of a path that are no UTF-8 become "?"."""
    return value.encode("utf-8", "replace").decode()
