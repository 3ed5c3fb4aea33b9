"""Shared data on their way to every worker: packed once, and sent by what reaches it."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import weakref
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from amtl_cvx.parallel import silence
from amtl_cvx.parallel.cluster import client_of
from amtl_cvx.parallel.pool import WorkerPool
from amtl_cvx.parallel.silence import within

INLINE = 1 << 16
"""Bytes of shared data up to which they travel with each job."""


class Parcel:
    """Shared data under way.

    Attributes
    ----------
    key : str
        sha256 of their pickle, under which workers keep them.
    sent : bytes, Path or Dask future
        What stands for them in a job.
    """

    def __init__(self, shared: object, executor: Executor) -> None:
        self._shared, self._client = shared, client_of(executor)
        pickled = self.pickled()
        self.key = hashlib.sha256(pickled).hexdigest()
        self.sent: Any = pickled
        if len(pickled) <= INLINE:
            return
        if self._client is not None:
            client = self._client
            self.sent = within(silence.SILENCE, lambda: client.scatter(pickled, broadcast=True, hash=False))
        elif isinstance(executor, ProcessPoolExecutor | WorkerPool):
            number, name = tempfile.mkstemp(prefix="amtl_cvx-")
            self.sent = Path(name)
            weakref.finalize(self, self.sent.unlink, missing_ok=True)
            with open(number, "wb") as file:
                file.write(pickled)

    def pickled(self) -> bytes:
        """The data themselves."""
        if self._client is None:
            return pickle.dumps(self._shared, protocol=pickle.HIGHEST_PROTOCOL)
        import cloudpickle  # comes with Dask; takes classes of notebooks and scripts along

        packed: bytes = cloudpickle.dumps(self._shared)
        return packed
