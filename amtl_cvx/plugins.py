"""Classes that are known by a name, and classes of the user's own that are to be known.

A class is known under its `name` once it is built in, given to `register`, or installed as an entry point
(group "amtl_cvx.transfer" or "amtl_cvx.losses"); and under ``package.module:Class`` once it is registered or
the user has named it so: in Python, or as an option of the command that runs. Only what is known is found
again from a stored run: a folder that somebody sends imports nothing by itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from amtl_cvx.errors import ModelError

Kind = TypeVar("Kind")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Plugins(Generic[Kind]):
    """The classes of one kind by name.

    Parameters
    ----------
    base : type
        What every class derives from.
    noun, option, group : str
        What messages call the kind, the option that names a class, the group of entry points.
    classes : dict
        Built-in classes by name; `register` adds to it.
    """

    base: type[Kind]
    noun: str
    option: str
    group: str
    classes: dict[str, type[Any]]

    def register(self, cls: type[Kind], name: str | None = None) -> type[Kind]:
        """Make `cls` known under `name` (default: its `name`, else ``module:Class``); usable as a decorator.

        Raises
        ------
        ModelError
            For what is no class of this kind, or where another class has the name.
        """
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise ModelError(f"expected a class derived from {self.base.__name__}, got {cls!r}")
        name = name or getattr(cls, "name", None) or path_of(cls)
        if not isinstance(name, str) or (
            self.classes.get(name, cls) is not cls and not _same(self, name, cls)
        ):
            raise ModelError(f"another {self.noun} is called {name!r}: choose another name")
        self.classes[name] = cls
        return cls

    def find(self, label: str) -> type[Any] | None:
        """The known class of a name or a ``module:Class``; an entry point is loaded when it is named."""
        if label in self.classes:
            return self.classes[label]
        for cls in self.classes.values():
            if path_of(cls) == label:
                return cls
        for point in importlib.metadata.entry_points(group=self.group):
            if label in (point.name, point.value):
                return self.register(self._loaded(point.value), point.name)
        return None

    def admit(self, label: str) -> type[Any]:
        """The class that the user names, imported where it is a ``module:Class`` that is not known yet."""
        found = self.find(label)
        if found is not None:
            return found
        if not is_path(label):
            raise ModelError(self.unknown(label))
        cls = self._loaded(label)
        self.classes[label] = cls
        return cls

    def label(self, cls: type[Any]) -> str:
        """The name that finds a class again."""
        name = getattr(cls, "name", None)
        if isinstance(name, str) and self.classes.get(name) is cls:
            return name
        return next((name for name, known in self.classes.items() if known is cls), path_of(cls))

    def unknown(self, label: str) -> str:
        """What to say of a label that is not known."""
        if is_path(label):
            return (
                f"the {self.noun} {label} is not known here: a stored run imports no code by itself, so name"
                f" the class ({self.option} {label}), register it or install it (entry point {self.group})"
            )
        return f"unknown {self.noun} {label!r}: choose one of {', '.join(self.classes)}, or MODULE:CLASS"

    def _loaded(self, path: str) -> type[Kind]:
        """The class at ``module:Class``, looked for in the current folder as well."""
        module, _, name = path.partition(":")
        here = os.getcwd()
        sys.path.append(here)
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise ModelError(
                f"cannot import the {self.noun} {path}: {error}: run where {module.partition('.')[0]} can be"
                " imported, or install it"
            ) from error
        finally:
            sys.path.remove(here)
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise ModelError(f"{path} is no {self.noun}: expected a class derived from {self.base.__name__}")
        return cls


def is_path(label: str) -> bool:
    """Whether a label is spelled ``package.module:Class``."""
    return _PATH.fullmatch(label) is not None


def path_of(cls: type[Any]) -> str:
    """``module:Class`` of a class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _same(plugins: Plugins[Any], name: str, cls: type[Any]) -> bool:
    """Whether the class of that name is an earlier version of `cls` (a notebook cell that ran twice)."""
    return path_of(plugins.classes[name]) == path_of(cls)
