"""The readers of packs in three languages: every array of every kind of pack, bit for bit."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference_samples import KINDS, MU, arrays, sample

from amtl_cvx.errors import ModelError
from amtl_cvx.reference import Pack, pack_names, read_pack
from amtl_cvx.reference.readers import READERS, reader_text

MAIN_CPP = r"""
#define READ_PACK_ONLY
#include "read_pack.cpp"
#include <cstdio>
int main(int count, char** words) {
    for (int k = 1; k < count; ++k) {
        const std::string folder = words[k], json = text_of(folder + "/problem/problem.json");
        std::printf("pack %s\nloss %s\n", folder.c_str(), said(json, "loss").c_str());
        std::printf("mu %a\n", std::stod(said(json, "mu")));
        for (const auto& [place, array] : read_pack(folder)) {
            std::printf("%s", place.c_str());
            for (const long length : array.shape) std::printf(" %ld", length);
            std::printf(":");
            for (const double value : array.data) std::printf(" %a", value);
            std::printf("\n");
        }
    }
}
"""
MAIN_M = r"""
folders = strsplit(getenv('PACKS'), ';');
for k = 1:numel(folders)
  pack = read_pack(folders{k});
  printf('pack %s\nloss %s\nmu %s\n', folders{k}, pack.model.loss, num2hex(pack.model.mu));
  parts = [{'problem', 'given', 'solution'}; {pack.problem, pack.given, pack.solution}];
  for m = 1:numel(pack.minima)
    parts(:, end + 1) = {sprintf('minima/%d', m); pack.minima{m}};
  end
  for part = parts
    for name = fieldnames(part{2})'
      array = part{2}.(name{1});
      printf('%s/%s %d %d:', part{1}, name{1}, size(array));
      values = array';
      for v = values(:)'
        printf(' %s', num2hex(v));
      end
      printf('\n');
    end
  end
end
"""


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> list[Pack]:
    """A pack of every kind."""
    folder = tmp_path_factory.mktemp("packs")
    return [sample(folder, kind) for kind in KINDS]


def hexadecimal(value: float) -> str:
    """As num2hex of Octave writes a double."""
    return np.float64(value).view(np.uint64).item().to_bytes(8, "big").hex()


def expected(found: list[Pack], *, octave: bool) -> list[str]:
    """What a reader is to print of packs, in any order of the arrays."""
    lines = []
    for pack in found:
        mu = pack.problem.model.mu
        lines += [f"pack {pack.folder}", f"loss {pack.problem.model.to_dict()['loss']}"]
        lines.append(f"mu {hexadecimal(mu) if octave else mu.hex()}")
        for place, array in arrays(pack).items():
            shape = array.shape if array.ndim == 2 or not octave else (len(array), 1)
            values = [hexadecimal(v) if octave else float(v).hex() for v in array.ravel()]
            lines.append(" ".join([place, *map(str, shape)]) + ": " + " ".join(values))
    return sorted(lines)


def plain(line: str) -> str:
    """Hexadecimal doubles as Python writes them: C++ leaves zeros at the end out."""
    return re.sub(r"(?<![\w/])-?0x[0-9a-f.]+p[+-]\d+", lambda found: float.fromhex(found[0]).hex(), line)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ reader in a program that prints what it reads."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here: c++, g++ and clang++ were tried")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "read_pack.cpp").write_text(reader_text("cpp"))
    (folder / "main.cpp").write_text(MAIN_CPP)
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "main.cpp", "-o", "reader"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "reader"


@pytest.fixture(scope="module")
def octave() -> str:
    """The program of Octave."""
    found = shutil.which("octave-cli")
    if found is None:
        pytest.skip("there is no Octave here: octave-cli was looked for (apt-get install octave)")
    return found


def by_cpp(reader: Path, found: list[Pack]) -> list[str]:
    folders = [str(pack.folder) for pack in found]
    done = subprocess.run([reader, *folders], capture_output=True, text=True, check=True)
    return sorted(map(plain, done.stdout.splitlines()))


def by_octave(program: str, found: list[Pack], folder: Path) -> list[str]:
    (folder / "read_pack.m").write_text(reader_text("octave"))
    (folder / "main.m").write_text(MAIN_M)
    named = ";".join(str(pack.folder) for pack in found)
    done = subprocess.run(
        [program, "--norc", "--quiet", "--no-history", "main.m"],
        cwd=folder, env={"PACKS": named, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(done.stdout.splitlines())


def test_python_reads_every_kind(packs: list[Pack], tmp_path: Path) -> None:
    """The file is loaded from elsewhere, without the package around it."""
    path = tmp_path / "copied.py"
    path.write_text(reader_text("python"))
    spec = importlib.util.spec_from_file_location("copied", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for pack in packs:
        about, found = module.read_pack(pack.folder)
        assert (about["name"], about["model"]["mu"]) == (pack.name, MU)
        stored = arrays(pack)
        assert found.keys() == stored.keys()
        for place, array in stored.items():
            assert found[place].dtype == array.dtype and found[place].tobytes() == array.tobytes()


def test_the_python_reader_refuses_a_changed_byte(packs: list[Pack], tmp_path: Path) -> None:
    from amtl_cvx.reference.readers.read_pack import read_pack as reader

    folder = tmp_path / "pack"
    shutil.copytree(packs[0].folder, folder)
    path = folder / "problem" / "X.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="X.npy was changed"):
        reader(folder)


@pytest.mark.slow
def test_cpp_reads_every_kind(packs: list[Pack], compiled: Path) -> None:
    assert by_cpp(compiled, packs) == expected(packs, octave=False)


def test_octave_reads_every_kind(packs: list[Pack], octave: str, tmp_path: Path) -> None:
    assert by_octave(octave, packs, tmp_path) == expected(packs, octave=True)


@pytest.mark.slow
def test_all_packs_are_read_in_three_languages(compiled: Path, octave: str, tmp_path: Path) -> None:
    found = [read_pack(name) for name in pack_names()]
    assert by_cpp(compiled, found) == expected(found, octave=False)
    assert by_octave(octave, found, tmp_path) == expected(found, octave=True)


@pytest.mark.parametrize("language", READERS)
def test_a_reader_is_short_and_stands_alone(language: str) -> None:
    text = reader_text(language)
    assert len(text.splitlines()) <= 60 and "import amtl_cvx" not in text and "from amtl_cvx" not in text
    with pytest.raises(ModelError, match="--reader must be one of python, cpp, octave"):
        reader_text("cobol")


def test_readers_list_what_they_read(packs: list[Pack], compiled: Path, tmp_path: Path) -> None:
    """As they are, without a program around them."""
    path = tmp_path / "read_pack.py"
    path.write_text(reader_text("python"))
    done = subprocess.run([sys.executable, path, packs[0].folder], capture_output=True, text=True, check=True)
    assert "sample-joint: A sample of joint." in done.stdout and "problem/X (9, 2)" in done.stdout
