"""What a climb proved, kept with the run: digits.json (level C4) and proof.json (level C5).

digits.json holds which problem it is (the description of `Problem.save`), blocks and J of the proven point as
decimals, the names of tasks and features, and the radius within which the point is known; proof.json the
lower bound, which `python -m amtl_cvx.enclosure.checker` verifies without a solver and without this package.
"""

from __future__ import annotations

import json
from pathlib import Path

from amtl_cvx.ladder import Climb
from amtl_cvx.problem import Problem
from amtl_cvx.problem.stored import described
from amtl_cvx.runfolder.content import to_json


def write_proofs(folder: Path, climbed: Climb, problem: Problem) -> None:
    """Write what there is into a folder; the tasks of the problem are the prepared ones."""
    if climbed.proven is not None:
        about = {"problem": described(problem.tasks, problem.model), **climbed.proven.named(problem.tasks)}
        (folder / "digits.json").write_text(to_json(about))
    if (text := proof_text(climbed)) is not None:
        (folder / "proof.json").write_text(text)


def proof_text(climbed: Climb) -> str | None:
    """The proof of the exact lower bound as a file holds it; None without one."""
    bounds = climbed.bounds
    return None if bounds is None or bounds.method != "exact" else json.dumps(bounds.proof) + "\n"
