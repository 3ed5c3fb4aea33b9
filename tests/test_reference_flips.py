"""Packs of the package: a byte that is flipped anywhere in any of them is refused with one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from amtl_cvx.errors import DataError
from amtl_cvx.reference import pack_names, packs_folder, read_pack


def flips(rng: np.random.Generator, count: int, names: list[str]) -> Iterator[tuple[str, str, float, int]]:
    """A pack, one of its files, where in it (0 to 1), and which bits change; every file is as likely."""
    files = {name: ["pack.json", *read_pack(name).about["files"]] for name in names}
    for name in sorted(rng.choice(names, size=count)):
        yield name, str(rng.choice(files[name])), float(rng.random()), int(rng.integers(1, 256))


def refused(flipped: Iterator[tuple[str, str, float, int]], tmp_path: Path) -> int:
    """How many of the flips are refused, each with a line; the pack is as it was after each."""
    count = 0
    for name, file, share, bits in flipped:
        place = tmp_path / name
        if not place.exists():
            shutil.copytree(packs_folder() / name, place)
        path = place / file
        content = path.read_bytes()
        changed = bytearray(content)
        changed[int(share * len(content))] ^= bits
        path.write_bytes(changed)
        with pytest.raises(DataError) as caught:
            read_pack(place)
        assert "\n" not in str(caught.value) and file.rpartition("/")[2] in str(caught.value)
        path.write_bytes(content)
        count += 1
    return count


def test_a_flipped_byte_is_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    some = [str(name) for name in rng.permutation(pack_names())[:4]]
    assert refused(flips(rng, 40, some), tmp_path) == 40
    for name in some:
        read_pack(tmp_path / name)


@pytest.mark.slow
def test_a_thousand_flipped_bytes_are_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    assert refused(flips(rng, 1000, list(pack_names())), tmp_path) == 1000
