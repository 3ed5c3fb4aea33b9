"""`amtl-cvx certify`: judge blocks from any source (AMTL: a W and B) against data and a model."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from amtl_cvx.certificate import Certificate, check_level
from amtl_cvx.certificate.figures import double_below
from amtl_cvx.certificate.levels import is_stopped
from amtl_cvx.commands.earlier import changed_rules, other_data
from amtl_cvx.commands.foreign import Reading, in_data_order, read_point
from amtl_cvx.commands.named import translated
from amtl_cvx.commands.output import figure_lines, files_of_run, ladder_lines, reached_words, write_whole
from amtl_cvx.commands.problem import Problem, stored_problem
from amtl_cvx.commands.rows import confirmed
from amtl_cvx.commands.settings import admit, number, time_limit
from amtl_cvx.commands.setup import interruptible
from amtl_cvx.console import note, say
from amtl_cvx.errors import DataError, Exit, ModelError
from amtl_cvx.ladder import Climb
from amtl_cvx.methods import method_named
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import StoredRun, proof_text, read_certificate, to_json
from amtl_cvx.tasks import TaskSet

_DIGITS = 40
"""Most digits that --digits prints."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The certificate of a point, how the point was read, and what there is to say.

    `foreign`: the data are not those of the run; `was` is what certificate.json says of it.
    """

    certificate: Certificate
    reading: Reading
    notes: Sequence[str]
    advice: str | None
    tol: float
    foreign: bool
    was: Mapping[str, Any]


def certify(arguments: Namespace) -> Exit:
    """`amtl-cvx certify`."""
    check_level(arguments.level)
    _check_extras(arguments)
    time_limit(arguments)
    admit(arguments)
    arguments = translated(arguments)
    stored = read_point(arguments.solution, method=arguments.method)
    problem = stored_problem(arguments, stored)
    judged = judge(arguments, stored, problem)
    tasks, model, blocks = problem.tasks, problem.model, judged.reading.blocks
    proof = _stored_proof(arguments, problem)
    with (
        interruptible(),
        Progress(quiet=arguments.quiet or arguments.level <= "C2", tol=judged.tol) as progress,
    ):
        climbed = stored.family.climb(
            judged.certificate,
            stored.family.problem(tasks, model),
            blocks,
            level=arguments.level,
            digits=arguments.digits or _DIGITS,
            limit=time_limit(arguments),
            proof=proof,
            observe=progress.phase,
        ) or Climb(certificate=judged.certificate)
    changed = "" if judged.foreign else changed_rules(stored, judged.was, model, climbed.certificate)
    notes = [*judged.notes, *([changed] if changed else [])]
    said = _proof_words(arguments, climbed, stored=proof)
    if arguments.json:
        content = _content(climbed, tasks, arguments.digits)
        notes += [] if judged.advice is None else [judged.advice]
        say(to_json(content | ({"notes": notes} if notes else {})).rstrip())
    elif not arguments.quiet:
        lines = _lines(climbed, tasks, arguments)
        lines += [judged.reading.order, *(f"note: {note}" for note in notes)]
        if not climbed.certificate.passes:
            advice = stored.family.advice(climbed.certificate, model, stored.blocks)
            stop = str(judged.was.get("kind", ""))
            if is_stopped(stop) and not judged.foreign:
                advice = (
                    f"nothing: the run was {stop} on purpose, for what it predicts there; fit or tune without"
                    " rounds goes to a first-order point"
                )
            lines.append(judged.advice or f"next: {advice}")
        say(*lines, *said)
    if climbed.interrupted:
        note(f"interrupted: {reached_words(climbed.certificate)}")
        return Exit.INTERRUPTED
    certified = climbed.certificate.has(arguments.level) and not judged.foreign
    return Exit.DONE if certified else Exit.UNCERTIFIED


def judge(arguments: Namespace, stored: StoredRun, problem: Problem) -> Judged:
    """The first-order certificate of the stored point; where it does not pass, another order is tried."""
    recorded, tasks, model = stored.arguments, problem.tasks, problem.model
    tol = arguments.tol if arguments.tol is not None else number("tol", recorded.get("tol", 1e-8))
    family = stored.family
    method = arguments.method or str(stored.run.get("method", family.default_method))
    told = {**vars(arguments), "reading": getattr(arguments, "reading", None) or recorded.get("reading")}
    judge = family.judging(method_named(method, family=family.name), told).judge
    ridge = arguments.ridge if arguments.ridge is not None else recorded.get("ridge")
    reading = in_data_order(stored, tasks, ridge=None if ridge is None else float(ridge))
    family.check_memory(tasks, model)
    certificate = confirmed(
        judge(tasks, model, reading.point, tol),
        problem.dataset,
        model,
        reading.blocks,
        preparation=problem.preparation,
    )
    advice = None
    if not certificate.passes:
        advice = family.repair(
            family.problem(tasks, model),
            reading.point,
            judge=lambda other: judge(tasks, model, other, tol),
        )
    was = read_certificate(arguments.solution, stored.run)
    other, foreign = other_data(stored, was, problem.dataset)
    notes = (*reading.notes, *([other] if other else []))
    return Judged(
        certificate=certificate,
        reading=reading,
        notes=notes,
        advice=advice,
        tol=tol,
        foreign=foreign,
        was=was,
    )


def _check_extras(arguments: Namespace) -> None:
    """Raise `ModelError` for what the level asked for cannot give."""
    if arguments.digits is not None:
        if not 1 <= arguments.digits <= _DIGITS:
            raise ModelError(f"--digits must be a whole number from 1 to {_DIGITS}, got {arguments.digits}")
        if arguments.level < "C4":
            raise ModelError(f"--digits needs --level C4 or C5, got {arguments.level}")
    if arguments.proof is not None and not arguments.proof.is_file():
        if arguments.level < "C5":
            raise ModelError(f"--proof needs --level C5, got {arguments.level}")
        if not arguments.proof.absolute().parent.is_dir():
            raise DataError(
                f"cannot write {arguments.proof}: its folder does not exist: choose another --proof"
            )


def _stored_proof(arguments: Namespace, problem: Problem) -> dict[str, Any] | None:
    """The proof that --proof names, if one is there; `DataError` unless it is about these data and model."""
    if arguments.proof is None or not arguments.proof.is_file():
        return None
    from amtl_cvx.enclosure import checked_bounds, read_proof

    proof = read_proof(arguments.proof)
    checked_bounds(proof, problem.tasks, problem.model)
    return proof


def _proof_words(arguments: Namespace, climbed: Climb, *, stored: dict[str, Any] | None) -> list[str]:
    """What became of --proof: a new bound is written there, one that was there is kept."""
    path, text = arguments.proof, proof_text(climbed)
    if path is None:
        return []
    if stored is not None:
        least = double_below(Fraction(stored["lower"]))
        return [
            f"proof: {path} was there and holds, for these data and this model: J is never below {least!r}"
        ]
    if text is None:
        return [f"proof: {path} was not written, there is no exact bound"]
    read = (Path(arguments.data), arguments.solution, *files_of_run(arguments.solution))
    write_whole(path, text.encode(), read=read)
    return [f"proof: {path} holds the bound, to be checked without a solver"]


def _content(climbed: Climb, tasks: TaskSet, digits: int | None) -> dict[str, Any]:
    """What --json prints: the certificate, and the proven digits where they are asked for and known."""
    content = climbed.certificate.to_dict()
    if digits is not None:
        content["digits"] = None if climbed.proven is None else climbed.proven.named(tasks)
    return content


def _lines(climbed: Climb, tasks: TaskSet, arguments: Namespace) -> list[str]:
    """The verdict, the ladder and the proven digits."""
    certificate = climbed.certificate
    lines = [
        certificate.verdict(),
        *(line for line in certificate.sentences() if line != certificate.verdict()),
        "",
        *ladder_lines(certificate),
    ]
    if arguments.figures:
        lines += ["", *figure_lines(certificate)]
    if arguments.digits is not None and climbed.proven is not None:
        lines += ["", *climbed.proven.lines(tasks)]
    return lines
