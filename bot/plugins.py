"""Finds extensions: every module of a package that defines an object of a type. One extension, one file."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Callable, MutableMapping
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")

_NOT_LOADED = (
    ImportError,
    SyntaxError,
    NameError,
    AttributeError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    OSError,
)
"""What a module that somebody writes can end with while it is imported."""


def discover(
    package: ModuleType,
    kind: type[T],
    *,
    left_out: MutableMapping[str, str] | None = None,
    lacks: Callable[[ModuleType], str] = lambda _module: "",
) -> tuple[T, ...]:
    """All module-level objects of type ``kind`` in the package's modules, in order of module name.

    ``left_out``: gets by module name why one is left out, with its file: it cannot be imported, it defines a name that another
    has, or it defines none and ``lacks`` says what it should ("" for a module that need not). Without ``left_out`` an import's
    error is raised, and ValueError when two carry the same ``name``: the second would silently win or lose.
    """
    found: list[T] = []
    names: dict[str, str] = {}
    for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
        file = f"{package.__name__.replace('.', '/')}/{entry.name}{'/__init__' if entry.ispkg else ''}.py"
        try:
            module = importlib.import_module(f"{package.__name__}.{entry.name}")
        except _NOT_LOADED as error:
            if left_out is None:
                raise
            left_out[entry.name] = (
                f"{file} cannot be loaded: {_where(error)}{_said(error)}; mend or remove it"
            )
            continue
        own = [value for value in vars(module).values() if isinstance(value, kind)]
        for value in own:
            if value in found:
                continue
            name = str(getattr(value, "name", entry.name))
            if name in names:
                clash = f"{module.__name__} and {names[name]} both define {name!r}"
                if left_out is None:
                    raise ValueError(clash)
                left_out[entry.name] = f"{file} is left out: {clash}; rename one"
                continue
            names[name] = module.__name__
            found.append(value)
        if not own and left_out is not None and (lacking := lacks(module)):
            left_out[entry.name] = f"{file} is left out: {lacking}"
    return tuple(found)


def _said(error: BaseException) -> str:
    said = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _where(error: BaseException) -> str:
    """The last line of ours that ran; a SyntaxError names its own."""
    ran = [each for each in traceback.extract_tb(error.__traceback__) if "importlib" not in each.filename]
    if isinstance(error, SyntaxError) or len(ran) < 2:
        return ""
    return f"line {ran[-1].lineno} of {ran[-1].filename.rpartition('/')[2]}, "
