"""Our own source files, as syntax trees: what the tests about the house itself look at."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("bot", "store", "sandbox")


@dataclass(frozen=True)
class SourceFile:
    """One file: `path` is relative to the repository, with forward slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every absolute import, at the top or inside a function: (line, dotted name)."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.lineno, node.module

    def third_party_imports(self) -> Iterator[tuple[int, str]]:
        """The imports that are neither Python's nor ours: (line, top-level package)."""
        for line, name in self.imports():
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in PACKAGES:
                yield line, top

    def calls(self) -> Iterator[tuple[int, str]]:
        """Every call by its dotted name as written: (line, "datetime.now")."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


def source_files(*packages: str) -> list[SourceFile]:
    """All Python files below the named folders, in a stable order."""
    files = (path for package in packages for path in sorted((REPOSITORY / package).rglob("*.py")))
    return [
        SourceFile(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8"))
        for path in files
    ]
