r"""A reference pack: one problem for ever, its answer, and what is known of it.

    problems/reference/packs/NAME/
      pack.json              which problem it is and what is claimed (`schema`, `canonical`)
      problem/               the problem as `Problem.save` stores it, labels -1/+1 (`problem.stored`)
      given/B.npy ...        the blocks that a single step is given
      solution/W.npy ...     the answer, block by block
      minima/1/W.npy ...     other first-order points that are known
      digits.json            the answer to 40 digits, where digits are proven
      proof.json             the exact lower bound of J, where there is one

Arrays are little-endian, C order, float64 or int64, without Python objects. Every file is named in pack.json
with its SHA-256, and pack.json has one text alone, so that no byte of a pack can change without a word.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import DataError
from amtl_cvx.reference.canonical import content_of
from amtl_cvx.reference.schema import check_about, check_content
from amtl_cvx.untrusted import digest, existing_file, read_bytes, reading, shown
from amtl_cvx.untrusted.npy import read_array


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """A pack that was read, its files held against their SHA-256.

    Attributes
    ----------
    folder : Path
        Where it lies.
    about : dict
        What pack.json says.
    """

    folder: Path
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What it is called: its folder."""
        return str(self.about["name"])

    @property
    def ask(self) -> str:
        """What the answer answers: one of `schema.ASKS`."""
        return str(self.about["ask"])

    @property
    def task(self) -> int | None:
        """The task whose predictor is asked for, of "one-task"."""
        task: int | None = self.about.get("task")
        return task

    @property
    def claims(self) -> Mapping[str, Any]:
        """What is known of the answer (`reference.claims`)."""
        claims: Mapping[str, Any] = self.about["claims"]
        return claims

    @functools.cached_property
    def problem(self) -> Any:
        """Tasks and model as a problem of their family."""
        from amtl_cvx.families import family_of
        from amtl_cvx.problem import stored

        tasks, model = stored.read(self.folder / "problem")
        return family_of(model).problem(tasks, model)

    @functools.cached_property
    def solution(self) -> Mapping[str, Array]:
        """The answer, block by block."""
        return self._blocks("solution")

    @functools.cached_property
    def given(self) -> Mapping[str, Array]:
        """The blocks that a single step is given; empty for a joint problem."""
        return self._blocks("given")

    @functools.cached_property
    def minima(self) -> tuple[Mapping[str, Array], ...]:
        """Other first-order points that are known, block by block."""
        numbers = {int(name.split("/")[1]) for name in self.about["files"] if name.startswith("minima/")}
        return tuple(self._blocks(f"minima/{k}") for k in sorted(numbers))

    @functools.cached_property
    def digits(self) -> Mapping[str, Any] | None:
        """The answer in decimals, where digits are proven."""
        return self._json("digits.json")

    @functools.cached_property
    def proof(self) -> dict[str, Any] | None:
        """The proof of the exact lower bound, where there is one."""
        return self._json("proof.json")

    def _json(self, name: str) -> dict[str, Any] | None:
        if name not in self.about["files"]:
            return None
        content = self._bytes(name)
        with reading(self.folder / name, ".json"):
            found: dict[str, Any] = json.loads(content)
            check_content(name, found)
        return found

    def _blocks(self, place: str) -> Mapping[str, Array]:
        names = [name for name in self.about["files"] if name.rpartition("/")[0] == place]
        return {Path(name).stem: self.array(name) for name in sorted(names)}

    def array(self, name: str) -> Array:
        """One array by its path in the pack, its digest taken from the very bytes that are read."""
        content = self._bytes(name)
        with reading(self.folder / name, ".npy"):
            array = read_array(io.BytesIO(content), name, len(content))
        if array.dtype not in (np.dtype("<f8"), np.dtype("<i8")):
            raise DataError(
                f"{name} must be float64 or int64, little-endian, it is {array.dtype}: get it again"
            )
        if not array.flags.c_contiguous:  # readers in other languages take the bytes as they come
            raise DataError(f"{name} must be stored row by row (C order), it is not: get it again")
        array.flags.writeable = False
        return array

    def _bytes(self, name: str) -> bytes:
        """The very bytes that the digest of pack.json is of."""
        content = read_bytes(existing_file(self.folder / name, f"{name} of the pack {self.name}"))
        if hashlib.sha256(content).hexdigest() != self.about["files"][name]:
            raise _changed(self.folder.name, name)
        return content


def packs_folder() -> Path:
    """The folder of the packs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]  # this file is amtl_cvx/reference/pack.py
    inside = package / "problems"
    return (inside if inside.is_dir() else package.parent / "problems") / "reference" / "packs"


def pack_names() -> tuple[str, ...]:
    """The packs that come with the package, by name."""
    return tuple(sorted(file.parent.name for file in packs_folder().glob("*/pack.json")))


def read_pack(place: str | Path, *, files: bool = True) -> Pack:
    """A pack by its name, or by its folder.

    Parameters
    ----------
    place : str or Path
        The name of a pack that comes with the package, or a folder that `write_pack` wrote.
    files : bool
        Whether every file is held against its SHA-256 now; if not, each is when it is read (`list`).

    Raises
    ------
    DataError
        For an unknown name, and for a file that is missing or of which a byte was changed: one line.
    """
    folder = _folder(place)
    text = read_bytes(existing_file(folder / "pack.json", "a reference pack with a pack.json"))
    about = content_of(text, f"{folder.name}/pack.json")
    check_about(about, folder.name)
    if files:
        for name, known in about["files"].items():
            if digest(existing_file(folder / name, f"{name} of the pack {folder.name}")) != known:
                raise _changed(folder.name, name)
    return Pack(folder=folder, about=about)


def _folder(place: str | Path) -> Path:
    """The folder of a pack; `DataError` names those nearest to an unknown name."""
    path = Path(place)
    if path.is_dir():
        return path
    known = packs_folder() / str(place)
    if (known / "pack.json").is_file() and known.parent == packs_folder():
        return known
    near = difflib.get_close_matches(str(place), pack_names(), n=3, cutoff=0.5)
    there = f"did you mean {shown(near)}?" if near else "`amtl-cvx reference list` names them"
    raise DataError(
        f"expected a reference pack or its folder, there is none called {str(place)[:60]!r}: {there}"
    )


def _changed(pack: str, name: str) -> DataError:
    return DataError(
        f"{pack}/{name} is not the file that was written: it was changed or cut off, get it again"
    )
