"""`amtl-cvx fit`: read, prepare, choose, fit, judge, and leave a run folder."""

from __future__ import annotations

import dataclasses
import functools
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from amtl_cvx.commands.named import called, left_open, title_line, translated
from amtl_cvx.commands.output import kept_words, ladder_lines, reached_words
from amtl_cvx.commands.rows import confirmed_solution
from amtl_cvx.commands.settings import admit, check_options, complete, table_of, time_limit
from amtl_cvx.commands.setup import (
    Setup,
    feature_spread,
    interruptible,
    recorded,
    running_options,
    set_up,
    uninterrupted,
)
from amtl_cvx.commands.start import read_start
from amtl_cvx.console import note, say
from amtl_cvx.errors import AMTLError, Exit
from amtl_cvx.families import DEFAULT, Settings, settings_with
from amtl_cvx.ladder import Climb
from amtl_cvx.methods import fit as fit_method
from amtl_cvx.options import Options
from amtl_cvx.parallel import workers
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import Missed, RunFolder, to_json, write_proofs
from amtl_cvx.scoring import BASELINES, score
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import TaskSet

_log = logging.getLogger(__name__)

_ROUNDING = 1e-13
"""Tolerances below it are not reached, or by chance: sums of products in double precision are not exact."""
_SPREAD = 1e4
"""Sizes of features that differ by more are named as what stalls a fit."""


def fit(arguments: Namespace) -> Exit:
    """`amtl-cvx fit`."""
    admit(arguments)
    arguments = translated(arguments)
    beginning = None
    if arguments.start is not None:
        beginning = read_start(arguments.start, method=arguments.method)
    table = settings_with(arguments.method) if arguments.method else table_of(DEFAULT)
    table = table if beginning is None else beginning.table
    check_options(arguments, table)
    arguments = left_open(arguments if beginning is None else beginning.arguments(arguments))
    arguments = complete(arguments, table)
    time_limit(arguments)
    options = running_options(arguments, table)
    with (
        interruptible(),
        RunFolder(arguments.out, force=arguments.force, continued=arguments.start) as folder,
        Progress(quiet=arguments.quiet, tol=options.tol) as progress,
        workers(arguments.jobs, scheduler=arguments.scheduler) as executor,
    ):
        setup = set_up(arguments, dataclasses.replace(options, executor=executor), progress, table=table)
        _log.info("%s", "; ".join(setup.summary()))
        start, origin = (
            _start(arguments, setup, table) if beginning is None else beginning.at(setup, arguments.method)
        )
        told = {
            "dataset": setup.dataset,
            "arguments": {**recorded(arguments, table), **setup.settings},
            "seed": arguments.seed,
            "choice": setup.described_choice() if beginning is None else beginning.choice(setup),
        }
        options = dataclasses.replace(options, executor=executor, start=start)
        solution = _fitted(
            setup, arguments.method, options, progress, keep=functools.partial(folder.checkpoint, **told)
        )
        if arguments.level > "C2":  # a climb takes up to minutes
            folder.checkpoint(solution, **told)
        climbed = _climbed(solution, setup.train, arguments, progress)
        problem = solution.family.problem(setup.train, solution.model)
        solution = dataclasses.replace(solution, certificate=climbed.certificate)
        with uninterrupted():  # the point is there: DIR is written
            progress.phase("drawing the graph and writing the report")
            scores = _scores(solution, setup, options, name=called(arguments))
            place = folder.write(
                solution,
                scores=scores,
                missed=_missed(solution, climbed, arguments.level),
                numbers=lambda work: write_proofs(work, climbed, problem),
                **told,
            )
    spent = ", ".join(f"{name} {value:.2f} s" for name, value in solution.seconds.items())
    _log.info("time of the fit: %s; %d steps", spent, len(solution.history))
    if arguments.json:
        content = {
            "status": solution.status.value,
            "certificate": solution.certificate.to_dict(),
            "where": str(place),
            "scores": scores,
        }
        say(to_json(content).rstrip())
    elif not arguments.quiet:
        _print_fit(solution, setup, scores=scores, arguments=arguments, place=place, origin=origin)
    return _ending(solution, arguments, stopped=setup.stopped, cut_short=climbed.interrupted, place=place)


def _fitted(
    setup: Setup, method: str, options: Options, progress: Progress, *, keep: Callable[[Solution], object]
) -> Solution:
    """The fit, its checkpoints kept; one step of it where the choice of coupling and mu was interrupted."""
    preparation = None if setup.preparation.is_identity else setup.preparation

    def prepared(solution: Solution) -> Solution:
        return dataclasses.replace(solution, preparation=preparation)

    if setup.stopped:
        options = dataclasses.replace(options, start=None, callback=progress.stop)
    else:
        progress.phase("compiling the subproblems")
        options = dataclasses.replace(
            options, callback=progress.record, checkpoint=lambda found: keep(prepared(found))
        )
    solution = fit_method(setup.train, setup.choice.model, method=method, options=options)
    solution = confirmed_solution(solution, setup.dataset, setup.preparation, progress.counting)
    return prepared(dataclasses.replace(solution, state=None) if setup.stopped else solution)


def _climbed(solution: Solution, tasks: TaskSet, arguments: Namespace, progress: Progress) -> Climb:
    """What is known above C2; nothing more after an interrupt."""
    if solution.status is Status.INTERRUPTED:
        return Climb(certificate=solution.certificate)
    return solution.family.climb(
        solution.certificate,
        solution.family.problem(tasks, solution.model),
        solution.blocks,
        level=arguments.level,
        limit=time_limit(arguments),
        observe=progress.phase,
    ) or Climb(certificate=solution.certificate)


def _missed(solution: Solution, climbed: Climb, level: str) -> Missed | None:
    """What the run is where it ends with another exit code than 0."""
    if climbed.interrupted or solution.status is Status.INTERRUPTED:
        return "interrupted"
    return None if solution.certificate.has(level) else "uncertified"


def _start(arguments: Namespace, setup: Setup, table: Settings) -> tuple[Any, str]:
    """Where the fit begins without --start, None where the method says so; and the line about it."""
    if setup.stopped:
        return None, ""
    problem = setup.family.problem(setup.train, setup.choice.model)
    start = setup.family.begin(problem, vars(arguments), seed=arguments.seed)
    said = [f"{each.option} {getattr(arguments, each.name)}" for each in table.fit if each.begins]
    return start, "" if start is None else f"{' '.join(said)}, seed {arguments.seed}"


def _scores(
    solution: Solution, setup: Setup, options: Options, *, name: str
) -> dict[str, Mapping[str, float]]:
    """Scores of the solution on the test part, and on the validation part; empty where there is neither.

    Beside them those of single-task learning at the model's coupling, which is the weight of its ridge and
    was not chosen for it; with a penalty on W also those of the same J without edges.
    """
    dataset, preparation = setup.dataset, setup.preparation
    parts = {"": dataset.test, "validation ": dataset.validation}
    rows = {name: preparation.apply_tasks(part) for name, part in parts.items() if part is not None}
    if not rows or solution.status is Status.INTERRUPTED:
        return {}
    solutions = {name: solution}
    alone = dataclasses.replace(options, start=None)
    try:
        for baseline, (method, model) in solution.family.baselines(solution.model).items():
            if method != solution.method:
                solutions[baseline] = fit_method(setup.train, model, method=method, options=alone)
    except AMTLError as error:  # the fit that was asked for is done, and is not lost for this
        _log.warning("no scores of baselines: %s", error)
    classes = dataset.classes is not None
    return {
        method: {
            f"{part}{metric}": value
            for part, tasks in rows.items()
            for metric, value in score(found, tasks, classes=classes).items()
        }
        for method, found in solutions.items()
    }


def _ending(solution: Solution, arguments: Namespace, *, stopped: bool, cut_short: bool, place: Path) -> Exit:
    """The exit code; a run that is interrupted, or not where it was to go, says where it is."""
    kept = kept_words(place, arguments.out)
    if cut_short:
        left = f"{reached_words(solution.certificate)}, the run is"
    elif solution.status is Status.INTERRUPTED:
        early = "before coupling and mu were chosen, the single-task point"
        left = f"{early if stopped else 'the best point so far'} is"
    else:
        if kept:
            what = f"{arguments.level} is not reached" if solution.certificate.passes else "not certified"
            note(f"{what}: the run is in {place}{kept}")
        return Exit.DONE if solution.certificate.has(arguments.level) else Exit.UNCERTIFIED
    note(f"interrupted: {left} in {place}{kept}")
    return Exit.INTERRUPTED


def _score_lines(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What was scored on which part, one line a method and part."""
    lines = []
    for method, values in scores.items():
        remark = f" ({BASELINES[method]})" if method in BASELINES else ""
        by_part: dict[str, list[str]] = {}
        for key, value in values.items():
            part = "validation" if key.startswith("validation ") else "test"
            by_part.setdefault(part, []).append(f"{key.removeprefix('validation ')} {value:.4g}")
        lines += [f"{part}, {method}: {', '.join(shown)}{remark}" for part, shown in by_part.items()]
    return lines


def _print_fit(
    solution: Solution,
    setup: Setup,
    *,
    scores: Mapping[str, Mapping[str, float]],
    arguments: Namespace,
    place: Path,
    origin: str,
) -> None:
    certificate = solution.certificate
    lines = [*title_line(arguments), *setup.summary(further=certificate.passes)]
    lines += [f"start: {origin}"] if origin else []
    lines += [
        f"status: {solution.status.value}, {solution.status.text}",
        f"objective {solution.objective:.12g}; {certificate.verdict()}",
    ]
    if not certificate.passes and solution.status is not Status.INTERRUPTED:
        lines += [solution.family.shortfall(certificate), f"next: {_advice(solution, setup, arguments)}"]
        lines += [certificate.reasons["rows"]] if "rows" in certificate.reasons else []
    if arguments.level > "C2":
        lines += ladder_lines(certificate)
    if arguments.gpu == "on":
        lines.append(f"gpu: {solution.gpu}")
    lines.append(solution.family.summary(solution))
    lines += _score_lines(scores)
    digits = f"proven digits of {', '.join(solution.blocks)} and J are"
    for name, words in (("digits.json", digits), ("proof.json", "the proof of the lower bound is")):
        if (place / name).exists():
            lines.append(f"{words} in {place / name}")
    spent, report = solution.seconds.get("total", 0.0), place / "report.html"
    lines.append(f"wrote {place} in {spent:.1f} s of fitting; open {report}")
    say(*lines)


def _advice(solution: Solution, setup: Setup, arguments: Namespace) -> str:
    """The next thing to try."""
    certificate = solution.certificate
    if certificate.tol < _ROUNDING and certificate.relative < 1e-10:
        return f"a --tol above about {_ROUNDING:.0e}: here rounding is the limit, no longer the method"
    spread = feature_spread(setup.train)
    if spread > _SPREAD and not setup.settings["standardize"]:
        return f"--standardize: the features differ in size by a factor of {spread:.0e}, which stalls a fit"
    if "growth" in certificate.reasons:
        return "what the reason says, or go on from here with --start, should the minimum be far out"
    if "minimum" in certificate.reasons:
        return "change the model or the data as the reason says, for no setting of the method makes up for it"
    if "zero" in certificate.reasons:  # the conditions hold, where nothing is learned
        return solution.family.advice(certificate, solution.model, solution.blocks)
    if certificate.relative <= certificate.tol:  # gaps are held against J, which is 0 by now
        return "more rows, fewer features or a larger --mu keep the objective from 0, or a larger --tol"
    others, family = setup.family.others, setup.family
    if not family.methods[arguments.method].takes_start:
        return others
    rounds = f"--max-rounds above {arguments.max_rounds}"
    if getattr(arguments, "refine", None) is False:
        return f"leave out --no-refine, or {rounds}"
    coupling = []
    if "coupling" in setup.settings and not setup.choice.at_an_end:  # far beyond the data it stalls a fit
        coupling = ["a larger --coupling"]
    limit = [rounds] if solution.status is Status.ROUND_LIMIT else []
    return ", ".join([*limit, *coupling, others])
