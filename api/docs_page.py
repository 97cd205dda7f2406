"""/docs: every question as plain HTML, made from the OpenAPI description; it loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>swept API</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
h2{margin-top:2.5rem;font-size:1.1rem}code{background:#f2f2f2;padding:.1em .3em}
table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #ccc}</style>
"""


def docs_page(openapi: dict[str, Any]) -> str:
    """The page for an OpenAPI description."""
    info = openapi["info"]
    parts = [_HEAD, f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('summary', ''))}</p>"]
    parts.append(f"<p>{escape(info.get('description', ''))}</p>")
    parts.append("<p>For programs: <a href='/openapi.json'>/openapi.json</a></p>")
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            parts += _operation(path, method, operation, schemas)
    return "\n".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{escape(method.upper())} {escape(path)}</code> {escape(operation.get('summary', ''))}</h2>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    rows = [
        (one["name"], _type(one["schema"]), one["in"], one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    if rows:
        yield _table(("parameter", "type", "in", ""), rows)
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    named = _type(answer.get("schema", {}))
    properties = schemas.get(named.removeprefix("list of "), {}).get("properties", {})
    yield f"<p>answers {escape(named)}</p>"
    if properties:
        fields = [(name, _type(one), one.get("description", "")) for name, one in properties.items()]
        yield _table(("field", "type", ""), fields)


def _type(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{lines}</table>"
