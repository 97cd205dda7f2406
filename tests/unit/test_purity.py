"""`processing/` is values in, values out: its source is searched for anything else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSING = sorted((ROOT / "processing").rglob("*.py"))

#: All that the core may import; whatever can reach a file, a clock, a socket or chance isn't here.
ALLOWED = {
    *(
        "__future__",
        "abc",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "fractions",
        "functools",
    ),
    *(
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        "zoneinfo",
    ),
    *(
        "difflib",
        "tomllib",
        "unicodedata",
        "csv",
        "struct",
        "numbers",
        "decimal",
        "zlib",
        "array",
        "statistics",
        "copy",
    ),
    *("msgspec", "numba", "numpy", "pydantic", "scipy", "shapely", "processing"),
}
BUILTINS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint", "globals", "id"}
#: Attributes that ask a clock, chance or a file, whatever they are called on.
ATTRIBUTES = {
    "now",
    "utcnow",
    "today",
    "random",
    "default_rng",
    "loadtxt",
    "savetxt",
    "fromfile",
    "tofile",
    "environ",
}
MUTABLE_CALLS = {"dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "bytearray"}
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)


def modules_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or "")


def name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def offences_of(node: ast.AST) -> Iterator[str]:
    """What one node of the tree does that the core must not."""
    yield from (f"imports {name}" for name in modules_of(node) if name.split(".")[0] not in ALLOWED)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
            yield f"calls {node.func.id}()"
        if any(
            keyword.arg == "cache" and getattr(keyword.value, "value", None) is True
            for keyword in node.keywords
        ):
            return  # numba keeps compiled code beside the source; no value depends on it
    if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        yield f"uses .{node.attr}"
    if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
        yield "is asynchronous"
    if isinstance(node, ast.Global | ast.Nonlocal) and isinstance(node, ast.Global):
        yield "changes a global"


def changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names at the module's level that hold something mutable and that a function then changes.

    A table that is only read is a constant; an `lru_cache` remembers values of a pure function.
    """
    tables = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            value = statement.value
            if isinstance(value, MUTABLE) or (
                isinstance(value, ast.Call) and name_of(value.func) in MUTABLE_CALLS
            ):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                tables |= {name_of(target) for target in targets}
    methods = {
        "append",
        "add",
        "update",
        "setdefault",
        "pop",
        "clear",
        "extend",
        "insert",
        "remove",
        "popitem",
    }
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        local = {
            name_of(node) for node in ast.walk(function) if isinstance(getattr(node, "ctx", None), ast.Store)
        }
        for node in ast.walk(function):
            stored = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
            called = isinstance(node, ast.Attribute) and node.attr in methods
            target = name_of(node.value) if isinstance(node, ast.Subscript | ast.Attribute) else ""
            if (stored or called) and target in tables - local:
                yield getattr(node, "lineno", 0), f"changes the module's {target}"


def offences(source: str) -> list[str]:
    """All that a module's source does besides computing, with line numbers."""
    tree = ast.parse(source)
    found = [(getattr(node, "lineno", 0), text) for node in ast.walk(tree) for text in offences_of(node)]
    return [f"line {line}: {text}" for line, text in sorted({*found, *changes(tree)})]


@pytest.mark.parametrize("path", PROCESSING, ids=lambda path: path.name)
def test_a_module_of_the_core_only_computes(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == []


def test_the_search_covers_the_core() -> None:
    assert {"rules.py", "fix.py", "sweep.py", "frequency.py"} <= {path.name for path in PROCESSING}


@pytest.mark.parametrize(
    "source",
    [
        *(f"import {name}" for name in ("io", "os", "sys", "time", "logging", "random", "socket", "pathlib")),
        *(f"import {name}" for name in ("asyncio", "threading", "subprocess", "psycopg", "paho.mqtt.client")),
        "from os import environ",
        "from time import time",
        "from .. import storage",
        "def f():\n    import os",
        "open('x')",
        "print(1)",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import numpy as np\nnp.random.rand()",
        "async def f(): ...",
        "COUNT = 0\ndef f():\n    global COUNT\n    COUNT += 1",
        "CACHE = {}\ndef f(x):\n    CACHE[x] = 1",
        "SEEN: set[int] = set()\ndef f(x):\n    SEEN.add(x)",
    ],
)
def test_the_search_finds_an_offender(source: str) -> None:
    assert offences(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "from functools import lru_cache\n@lru_cache(maxsize=8)\ndef f(x): return x",
        "from numba import njit\n@njit(cache=True)\ndef f(x): return x",
        "TABLE = {1: 2}\ndef f(x): return TABLE[x]",
        "from datetime import datetime\ndatetime.fromisoformat('2024-01-01')",
        "SEEN = set()\ndef f(x):\n    SEEN = set()\n    SEEN.add(x)",
    ],
)
def test_the_search_lets_a_pure_module_pass(source: str) -> None:
    assert offences(source) == []
