"""What is asked must be understood: a parameter that nobody reads would be another question's answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.context import UserFault

TEXT_CHARS_MAX = 200


def check_asked(request: Request) -> None:
    """Refuse unknown and repeated parameters, and texts that the store can't hold."""
    known = _parameters(request)
    for name in request.query_params:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            named = f"did you mean {close[0]}?" if close else f"known are: {', '.join(known) or 'none'}"
            raise UserFault(422, f"there is no parameter {name[:40]!r} here", f"{named} (see /docs)")
        values = request.query_params.getlist(name)
        if len(values) > 1 and not known[name]:
            raise UserFault(422, f"{name} is given {len(values)} times", "give it once")
        _check_texts(name, values)
    _check_texts("the path", map(str, request.path_params.values()))


def _parameters(request: Request) -> dict[str, bool]:
    """The query parameters of the route that answers, and whether each may be repeated."""
    route = request.scope.get("route")
    return _read_by(route.dependant) if isinstance(route, APIRoute) else {}


def _read_by(dependant: Dependant) -> dict[str, bool]:
    own = {field.alias: "list[" in str(field.field_info.annotation) for field in dependant.query_params}
    for needed in dependant.dependencies:
        own |= _read_by(needed)
    return own


def _check_texts(name: str, texts: Iterable[str]) -> None:
    for text in texts:
        if len(text) > TEXT_CHARS_MAX or not text.isprintable():
            raise UserFault(
                422,
                f"{name} holds what no id or date does",
                f"write up to {TEXT_CHARS_MAX} printable characters",
            )
