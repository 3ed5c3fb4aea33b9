"""Make the reference packs from their recipes: the same data and the same digits on every machine.

    python problems/reference/make.py NAME ...       these packs (a name may be a pattern: 'tiny-*')
    python problems/reference/make.py --all          all of them
    python problems/reference/make.py --missing      those that are not there
    python problems/reference/make.py --check ...    nothing is written: what is made is held against packs
    python problems/reference/make.py --claims ...   only what is claimed, from the arrays that are there
    python problems/reference/make.py --list         their names

``--processes 2`` makes two at a time; ``--to FOLDER`` writes to another place than `packs` beside this file.
``--check`` wants the arrays of the problem and what is given byte for byte, the answer to six digits (W B
where B is not the only one), and the same decimals in digits.json. A stored proof of a bound is handed to the
checker, not searched again. Exits 1 where a pack differs or could not be made.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import importlib.metadata
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from recipes import all_recipes  # noqa: E402
from recipes.answers import answered  # noqa: E402
from recipes.recipe import Answer, Recipe, Stated  # noqa: E402

from amtl_cvx.data import export  # noqa: E402
from amtl_cvx.families import family_of  # noqa: E402
from amtl_cvx.reference import Pack, read_pack, write_pack  # noqa: E402

PACKS = HERE / "packs"
CLOSE = 1e-6
"""Part of its largest entry by which an answer that is found again may differ; proven digits are the same."""
PACKAGES = ("amtl-cvx", "numpy", "scipy", "cvxpy", "clarabel", "python-flint")


def make(recipe: Recipe, place: Path) -> Pack:
    """Find the answer of a recipe and write its pack."""
    stated = recipe.stated()
    return write(recipe, stated, answered(recipe, stated), place / recipe.name)


def write(recipe: Recipe, stated: Stated, answer: Answer, folder: Path) -> Pack:
    """The pack of an answer that was found; a pack that lies there gives way."""
    from amtl_cvx.reference.claims import claims_of

    problem = family_of(stated.model).problem(stated.tasks, stated.model)
    known = {"given": stated.given, "minima": answer.minima, "digits": answer.digits, "proof": answer.proof}
    claims = claims_of(problem, recipe.ask, answer.solution, task=recipe.task, **known)
    return write_pack(
        folder,
        problem=problem,
        ask=recipe.ask,
        solution=answer.solution,
        claims=claims,
        about=about_of(recipe, answer),
        replace=True,
        **known,
    )


def claim_again(recipe: Recipe, place: Path) -> Pack:
    """The same pack, its claims computed from its arrays as they are computed now."""
    pack, stated = read_pack(place / recipe.name), recipe.stated()
    answer = Answer(
        solution=pack.solution,
        minima=pack.minima,
        digits=None if pack.digits is None else dict(pack.digits),
        proof=pack.proof,
        settings=pack.about["made"]["settings"],
    )
    return write(recipe, stated, answer, pack.folder)


def about_of(recipe: Recipe, answer: Answer) -> dict[str, object]:
    """What pack.json says beside the problem and the claims."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES if _installed(name)}
    return {
        "name": recipe.name,
        "title": recipe.title,
        "grade": recipe.grade,
        "traits": recipe.traits,
        "origin": recipe.origin,
        "task": recipe.task,
        "made": {
            "versions": {"python": platform.python_version(), **versions},
            "settings": dict(answer.settings),
        },
    }


def differences(recipe: Recipe, pack: Pack) -> list[str]:
    """What of a pack its recipe does not make again, in words; empty where all of it is the same."""
    stated = recipe.stated()
    found = data_differences(recipe, stated, pack)
    answer = answered(recipe, stated, pack.proof)
    for name, (there, again) in _compared(pack, answer).items():
        unit = float(np.abs(there).max(initial=0.0)) or 1.0
        apart = float(np.abs(again - there).max(initial=0.0)) / unit
        if not apart <= CLOSE:
            found.append(f"{name} differs by {apart:.1e} of its largest entry")
    was, now = pack.digits or {}, answer.digits or {}
    keys = [key for key in ("objective", *pack.solution) if was.get(key) != _plain(now.get(key))]
    return found + [f"digits.json: {key} has other decimals" for key in keys]


def _compared(pack: Pack, answer: Answer) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What must come out again: the blocks, or W B where B is not said to be the only one."""
    unique = pack.claims.get("unique", {})
    found = {
        f"solution/{name}": (block, np.asarray(answer.solution[name]))
        for name, block in pack.solution.items()
        if unique.get(name, True) or name in (pack.digits or {})
    }
    if set(pack.solution) >= {"W", "B"}:
        there, again = (
            {n: np.asarray(each[n]) for n in ("W", "B")} for each in (pack.solution, answer.solution)
        )
        found["W B"] = (there["W"] @ there["B"], again["W"] @ again["B"])
    return found


def data_differences(recipe: Recipe, stated: Stated, pack: Pack) -> list[str]:
    """The files of the problem and of what is given that are not the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "problem"
        export(stated.tasks, stated.model, again, source="a reference pack")
        names = {path.name for path in again.iterdir()} | {
            path.name for path in (pack.folder / "problem").iterdir()
        }
        found = [
            f"problem/{name} differs"
            for name in sorted(names)
            if not _same(again / name, pack.folder / "problem" / name)
        ]
    if set(stated.given) != set(pack.given):
        found.append(f"given are {sorted(stated.given)}, there are {sorted(pack.given)}")
    found += [
        f"given/{name} differs"
        for name, block in pack.given.items()
        if np.asarray(stated.given.get(name)).tobytes() != block.tobytes()
    ]
    told = {"title": recipe.title, "grade": recipe.grade, "traits": list(recipe.traits), "ask": recipe.ask}
    return found + [f"pack.json: {key} differs" for key, value in told.items() if pack.about[key] != value]


def main(arguments: list[str] | None = None) -> int:
    """The command; the number of packs that failed is not 0 where it exits 1."""
    parser = argparse.ArgumentParser(description="make the reference packs from their recipes")
    parser.add_argument("names", nargs="*", metavar="NAME", help="packs, or patterns of their names")
    parser.add_argument("--all", action="store_true", help="all packs")
    parser.add_argument("--missing", action="store_true", help="those that are not there")
    parser.add_argument("--check", action="store_true", help="hold what is made against the packs")
    parser.add_argument("--claims", action="store_true", help="compute what is claimed again")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument(
        "--processes", type=int, default=1, metavar="K", help="how many at a time (default 1)"
    )
    parser.add_argument("--to", type=Path, default=PACKS, metavar="FOLDER", help="where they are written")
    given = parser.parse_args(arguments)
    recipes = all_recipes()
    patterns = given.names or (
        ["*"] if given.all or given.missing or given.check or given.claims or given.list else []
    )
    names = [name for name in recipes if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if given.missing:
        names = [name for name in names if not (given.to / name / "pack.json").is_file()]
    if given.list:
        print("\n".join(names))
        return 0
    if not patterns or (given.names and not names):
        parser.error("expected the name of a pack, a pattern, or --all; --list lists the names")
    way = "check" if given.check else "claims" if given.claims else "make"
    return int(run(names, way=way, place=given.to, processes=given.processes) > 0)


def run(names: list[str], *, way: str, place: Path, processes: int) -> int:
    """Make these packs, check them, or claim again, a line each; how many failed."""
    failed = 0
    jobs = [(name, way, place) for name in names]
    if processes == 1:
        results = map(_one, jobs)
        for good, line in results:
            failed += not good
            print(line, flush=True)
        return failed
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=fresh) as pool:
        for good, line in pool.map(_one, jobs):
            failed += not good
            print(line, flush=True)
    return failed


def _one(job: tuple[str, str, Path]) -> tuple[bool, str]:
    name, way, place = job
    recipe, start = all_recipes()[name], time.perf_counter()
    try:
        if way == "check":
            words = differences(recipe, read_pack(place / name))
            told = "; ".join(words) or "the same"
        else:
            pack, words = (claim_again if way == "claims" else make)(recipe, place), []
            told = told_of(pack)
    except Exception as error:
        if os.environ.get("TRACE"):
            traceback.print_exc()
        words = [f"{type(error).__name__}: {error}"]
        told = words[0]
    return not words, f"{'FAILED ' if words else ''}{name}: {told} ({time.perf_counter() - start:.1f} s)"


def told_of(pack: Pack) -> str:
    """A pack in a line."""
    claims = pack.claims
    size = sum(path.stat().st_size for path in pack.folder.rglob("*") if path.is_file())
    parts = [
        f"J {claims['objective']['decimal'][:14]}",
        f"level {claims.get('level')}",
        f"{claims['objective']['digits']} digits{'' if pack.digits is None else ', proven'}",
        "" if pack.proof is None else "enclosed",
        f"{len(pack.minima)} others" if pack.minima else "",
        f"{size / 1000:.0f} kB",
    ]
    return ", ".join(filter(None, parts))


def _same(first: Path, second: Path) -> bool:
    return first.is_file() and second.is_file() and first.read_bytes() == second.read_bytes()


def _plain(value: object) -> object:
    """Tuples as JSON has them: lists."""
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
