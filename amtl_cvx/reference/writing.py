"""A pack is written whole or not at all: a folder beside its place is filled, then moved there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.reference.canonical import text_of
from amtl_cvx.reference.formulas import told_of
from amtl_cvx.reference.pack import Pack, read_pack
from amtl_cvx.reference.schema import FORMAT, SCHEMA, check_about
from amtl_cvx.untrusted import digest


def write_pack(
    place: str | Path,
    *,
    problem: Any,
    ask: str,
    solution: Mapping[str, Any],
    claims: Mapping[str, Any],
    about: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    minima: tuple[Mapping[str, Any], ...] = (),
    digits: Mapping[str, Any] | None = None,
    proof: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Pack:
    """Write a pack, the whole of it or nothing, and read it back.

    Parameters
    ----------
    place : str or Path
        The folder: absent, empty, or, with `replace`, that of a pack.
    problem
        A problem of any family: tasks with their rows, and a model.
    ask : str
        What the answer answers, one of `schema.ASKS`.
    solution, given : mapping of name to array
        The blocks of the answer, and those that a single step is given.
    claims : mapping
        What is known of the answer, as `claims.claims_of` gives it.
    about : mapping
        `name`, `title`, `grade`, `traits`, `origin`, `made`; `task` where one is asked for.
    minima : tuple of mappings
        Other first-order points that are known.
    digits, proof : mapping, optional
        The contents of digits.json and proof.json.
    replace : bool
        Whether a pack that lies there may give way.

    Raises
    ------
    DataError
        For a folder with something else in it, one that cannot be written, and a content that is no pack.
    """
    target = Path(place)
    if (
        target.exists()
        and not (replace and _is_pack(target))
        and (not target.is_dir() or any(target.iterdir()))
    ):
        raise DataError(f"{target} exists and is not empty: it is left alone, choose another folder")
    try:
        target = Path(os.path.realpath(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}: choose another folder") from error
    try:
        whole = work / target.name
        whole.mkdir()
        _fill(whole, problem, solution, given or {}, minima, {"digits": digits, "proof": proof})
        content = _about(whole, problem, ask, about, claims)
        check_about(content, target.name)
        (whole / "pack.json").write_text(text_of(content), encoding="utf-8")
        if target.is_dir():
            os.replace(target, work / "earlier")
        os.replace(whole, target)
    except OSError as error:
        raise DataError(
            f"cannot write to {place}: {error.strerror}: free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return read_pack(target)


def _fill(
    folder: Path,
    problem: Any,
    solution: Mapping[str, Any],
    given: Mapping[str, Any],
    minima: tuple[Mapping[str, Any], ...],
    files: Mapping[str, Mapping[str, Any] | None],
) -> None:
    from amtl_cvx.data import export

    export(problem.tasks, problem.model, folder / "problem", source="a reference pack")
    places = {"solution": solution, "given": given} | {
        f"minima/{k}": m for k, m in enumerate(minima, start=1)
    }
    for place, blocks in places.items():
        for name, block in blocks.items():
            (folder / place).mkdir(parents=True, exist_ok=True)
            array = np.asarray(block)
            kind = "<i8" if array.dtype.kind in "iu" else "<f8"
            np.save(
                folder / place / f"{name}.npy", np.ascontiguousarray(array, dtype=kind), allow_pickle=False
            )
    for name, content in files.items():
        if content is not None:
            (folder / f"{name}.json").write_text(
                json.dumps(content, allow_nan=False) + "\n", encoding="utf-8"
            )


def _about(
    folder: Path, problem: Any, ask: str, about: Mapping[str, Any], claims: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of pack.json, but for its own digest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "name": about["name"],
        "title": about["title"],
        "grade": about["grade"],
        "traits": list(about["traits"]),
        "origin": dict(about["origin"]),
        "made": dict(about["made"]),
        "ask": ask,
        **({"task": about["task"]} if about.get("task") is not None else {}),
        **told_of(problem),
        "files": {path.relative_to(folder).as_posix(): digest(path) for path in files},
        "claims": dict(claims),
    }


def _is_pack(folder: Path) -> bool:
    try:
        content = json.loads((folder / "pack.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT
