"""A user's own problem and its answer as a pack, with the digits and the proof that a run has.

    made_pack("packs/mine", problem=problem, blocks={"W": W, "B": B}, ask="joint", said=said)

What the pack claims is computed here as for the packs of the package (`claims`): nothing is taken from the
run but its arrays, its decimals, which are proved again beside them, and its proof, which goes to the
checker. Decimals or a proof of another problem are refused.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import DEFAULT, family_of
from amtl_cvx.reference.pack import Pack
from amtl_cvx.reference.schema import NAME
from amtl_cvx.reference.writing import write_pack
from amtl_cvx.tasks import TaskSet
from amtl_cvx.untrusted import read_json, reading

_PACKAGES = ("amtl-cvx", "numpy", "scipy", "cvxpy")
_ASKS: Mapping[str, str] = {"single-task": "single-task", "curriculum": "curriculum"}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What people read of a pack: its name, a sentence, how hard it is, traits, where the data come from."""

    name: str
    title: str
    source: str
    grade: str = "average"
    traits: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            asked = "--name must be small letters, digits, dots and hyphens"
            raise ModelError(f"{asked}, got {self.name[:40]!r}: say --name mine")


@dataclass(frozen=True, kw_only=True)
class Proofs:
    """What a run folder has beside its numbers: what digits.json and proof.json hold, where there are any."""

    digits: Mapping[str, Any] | None = None
    proof: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, run: Path, tasks: TaskSet) -> Proofs:
        """Those of a run about these tasks; `DataError` for decimals of other data."""
        if not run.is_dir():
            return cls()
        found = {}
        for name in ("digits", "proof"):
            path = run / f"{name}.json"
            if path.is_file():
                with reading(path, ".json"):
                    found[name] = read_json(path)
        digits = found.get("digits")
        if digits is not None:
            if not isinstance(digits, dict) or not isinstance(digits.get("problem"), dict):
                raise DataError(
                    "digits.json is not the one that fit wrote: remove it, or fit again with --level C4"
                )
            if digits["problem"].get("fingerprint") != tasks.fingerprint():
                raise DataError("digits.json of the run is about other data: give the data of the run")
            digits = {key: value for key, value in digits.items() if key != "problem"}
        return cls(digits=digits, proof=found.get("proof"))


def ask_of(kind: str) -> str:
    """What an answer answers, by the kind of its certificate."""
    return _ASKS.get(kind, "joint")


def made_pack(
    place: str | Path,
    *,
    problem: Any,
    blocks: Mapping[str, Array],
    ask: str,
    said: Said,
    order: Sequence[int] | None = None,
    proofs: Proofs = Proofs(),  # noqa: B008  # frozen and empty
    prove: bool = False,
) -> Pack:
    """Write a pack of a problem and its answer, with every claim computed.

    Parameters
    ----------
    place : str or Path
        The folder: absent or empty.
    problem
        Of any family, its tasks with their rows.
    blocks : mapping of name to array
        The answer; of kind "single-task" B, which is 0, is left out.
    ask : str
        "joint", "single-task" or "curriculum".
    said : Said
        What people read of it.
    order : sequence of int, optional
        In which a curriculum learned the tasks.
    proofs : Proofs
        What is proven of the answer.
    prove : bool
        Whether digits are proved now where there are none; needs the extra ``[verify]``.

    Raises
    ------
    DataError
        For a folder with something in it, a proof of another problem, and blocks that do not fit.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
    >>> from amtl_cvx.reference.made import Said, made_pack
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5))
    >>> said = Said(name="two-units", title="Two tasks that have nothing in common.", source="by hand")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     blocks = {"W": np.eye(2) / 2, "B": np.zeros((2, 2))}
    ...     pack = made_pack(f"{folder}/two-units", problem=problem, blocks=blocks, ask="joint", said=said)
    >>> pack.ask, pack.claims["certificate"]["passes"]
    ('joint', True)
    """
    from amtl_cvx.reference.claims import claims_of, digits_of

    signed = signed_problem(problem)
    solution: dict[str, Any] = {name: np.asarray(block, dtype=np.float64) for name, block in blocks.items()}
    if ask == "single-task":
        solution.pop("B", None)
    if ask == "curriculum" and order is not None:
        solution["order"] = np.asarray(order, dtype=np.int64)
    extras = importlib.util.find_spec("flint") is not None
    kept = proofs if extras else Proofs()
    if prove and kept.digits is None:
        if not extras:
            raise ModelError('proven digits need python-flint: pip install "amtl-cvx[verify]"')
        kept = replace(kept, digits=digits_of(signed, ask, solution)[0])
    claims = claims_of(signed, ask, solution, digits=kept.digits, proof=kept.proof, extras=extras)
    return write_pack(
        place,
        problem=signed,
        ask=ask,
        solution=solution,
        claims=claims,
        about={
            "name": said.name,
            "title": said.title,
            "grade": said.grade,
            "traits": list(said.traits),
            "origin": {"generator": "amtl-cvx reference make", "seed": None, "source": said.source},
            "made": {"versions": {"python": platform.python_version(), **_versions()}, "settings": {}},
        },
        digits=kept.digits,
        proof=kept.proof,
    )


def signed_problem(problem: Any) -> Any:
    """The problem as its pack has it: labels of classes -1 and +1."""
    tasks, model = problem.tasks, problem.model
    if any(task.compressed for task in tasks):
        raise DataError("the tasks hold factors of their rows: read the data with keep_rows=True")
    if model.loss.classification:
        signed = tuple(replace(task, y=np.where(task.y > 0, 1.0, -1.0)) for task in tasks)
        tasks = replace(tasks, tasks=signed, labels=None)
    return family_of(model).problem(tasks, model)


def family_words(problem: Any) -> str:
    """The title of a pack that has none: its sizes, loss and family."""
    tasks, model = problem.tasks, problem.model
    family = family_of(model)
    kind = "" if family.name == DEFAULT else f" of the family {family.name}"
    return (
        f"{tasks.T} tasks of {tasks.d} features, {model.loss.label} loss ({model.loss.reduction})"
        f"{family.model_words(model)}{kind}."
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
