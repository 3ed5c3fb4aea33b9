"""What was finished of a comparison, in a folder: killed at any moment, it goes on from there.

    KEY.npz, KEY.json     a fit: its blocks, and after them what is known of it; both written whole
    KEY.tuning            how far the tuning of a fit came (`tuning.journal`), gone when it is done

KEY is the hash of all that a fit depends on: the training and validation rows, the method with its grid and
settings, how parameters are chosen, how fits are carried out, the version. So a fit is found again whichever
comparison asks for it, and a file by another key is another fit's and is left alone. Test rows are in no key:
no fit depends on them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.comparing.outcomes import Learned

_log = logging.getLogger(__name__)
MARK = "comparison-journal"
"""The file that says whose folder it is."""
_LINE = "fits of amtl_cvx comparisons that were not finished\n"


class Journal:
    """The folder of finished fits.

    Parameters
    ----------
    folder : Path
        New, empty, or one of ours.

    Raises
    ------
    DataError
        For a folder of something else, and one that cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mark = folder / MARK
            if not mark.is_file():
                if any(folder.iterdir()):
                    raise DataError(
                        f"{folder} holds something else than a journal of ours: name another place"
                    )
                mark.write_text(_LINE)
        except OSError as error:
            raise DataError(
                f"cannot keep a journal in {folder}: {error.strerror}: name another place"
            ) from error

    def tuning(self, key: str) -> Path:
        """Where the tuning of a fit keeps its own journal."""
        return self.folder / f"{key}.tuning"

    def read(self, key: str) -> Learned | None:
        """A finished fit; None where there is none, or where its files do not say what a fit says."""
        facts, blocks = self.folder / f"{key}.json", self.folder / f"{key}.npz"
        if not facts.is_file():
            return None
        try:
            with np.load(io.BytesIO(blocks.read_bytes()), allow_pickle=False) as file:
                found = {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
            return Learned.from_facts(json.loads(facts.read_text(encoding="utf-8")), found)
        except Exception as error:
            _log.warning("%s is no fit (%s): fitting again", facts, type(error).__name__)
            return None

    def write(self, key: str, learned: Learned) -> None:
        """Keep a finished fit; where it cannot be written that is a warning."""
        try:
            part = self.folder / f"{key}.part.npz"
            np.savez(part, **learned.blocks)  # type: ignore[arg-type]
            os.replace(part, self.folder / f"{key}.npz")
            part = self.folder / f"{key}.part.json"
            part.write_text(json.dumps(learned.facts()), encoding="utf-8")
            os.replace(part, self.folder / f"{key}.json")
            self.tuning(key).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s: this fit is not kept there: %s", self.folder, error.strerror)

    def remove(self) -> None:
        """Remove the folder with what is ours in it: the comparison is at its place."""
        for path in self.folder.iterdir():
            if path.name == MARK or path.suffix in (".npz", ".json", ".tuning"):
                path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def key_of(what: Mapping[str, Any]) -> str:
    """The hash of all that a fit depends on, 24 digits."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:24]
