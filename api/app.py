"""The JSON API: read only, one file a question, every error in words that tell what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import psycopg
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.asked import check_asked
from api.context import Context, UserFault
from api.docs_page import docs_page
from api.models import Problem
from api.routes import (
    coverage,
    dead_letters,
    excuses,
    figures,
    frequency,
    passes,
    status,
    streets,
    units,
)
from processing.district import District
from processing.geodesy import LocalProjection
from processing.linear_reference import Reference
from storage.pool import Pool, PoolBusy
from streams.log import LogUnavailable

PREFIX = "/api/v1"
ROUTES = (streets, frequency, figures, excuses, coverage, units, passes, dead_letters, status)


def create_app(
    store_url: str,
    district: District,
    references: Mapping[str, Reference],
    projection: LocalProjection,
    *,
    log_ends: Callable[[], tuple[str, dict[int, int]]] | None = None,
    connections_max: int = 8,
) -> FastAPI:
    """The application that serves a district's figures from a store.

    `references` and `projection` are the core's. `log_ends` gives the log's id and the offset that each
    partition's next record will get; without it the lag is unknown. It is called from several threads.
    """
    pool = Pool(store_url, connections_max)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(
        title="swept",
        summary="Which streets were swept, when, how completely and how often.",
        description=(
            "Every figure follows from docs/DEFINITIONS.md. Times are UTC; a service day is a date in the "
            "district's time zone. Without `day`, `from` and `to` the current service day is meant."
        ),
        version="1",
        lifespan=lifespan,
        responses={code: {"model": Problem} for code in (404, 422, 500, 503)},
        # FastAPI's own pages load their code from elsewhere, and stay blank without the internet.
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = Context(district, references, projection, pool, log_ends)
    for route in ROUTES:
        app.include_router(route.router, prefix=PREFIX, dependencies=[Depends(check_asked)])
    app.add_middleware(HeadAsGet)
    _handle_errors(app)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    return app


class HeadAsGet:
    """HEAD is answered as GET; the server leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(UserFault)
    def user_fault(_: Request, error: UserFault) -> JSONResponse:
        return _problem(error.status, error.error, error.do)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors()]
        return _problem(422, "; ".join(faults), "correct the parameter; /docs describes all of them")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        do = f"ask GET {PREFIX}/...; /docs lists all there is"
        return _problem(error.status_code, f"{request.url.path}: {error.detail}", do)

    @app.exception_handler(PoolBusy)
    def busy(_: Request, error: PoolBusy) -> JSONResponse:
        return _problem(503, str(error), "try again in some seconds, or ask for less at once")

    @app.exception_handler(LogUnavailable)
    @app.exception_handler(psycopg.InterfaceError)
    @app.exception_handler(psycopg.OperationalError)
    def store_down(_: Request, error: Exception) -> JSONResponse:
        detail = str(error).strip().splitlines()
        return _problem(
            503,
            f"the store can't be read now: {detail[0] if detail else 'no reason given'}",
            "try again in some seconds; if it lasts, see that the database runs (swept status)",
        )

    @app.exception_handler(Exception)
    def our_fault(_: Request, error: Exception) -> JSONResponse:
        # The server prints the traceback, and ends the connection; who asks learns the kind of fault only.
        answer = _problem(
            500,
            f"this question failed for a reason of our own ({type(error).__name__})",
            "ask for something else; send what swept serve printed with the question to its makers",
        )
        answer.headers["connection"] = "close"
        return answer


def _problem(status_code: int, error: str, do: str) -> JSONResponse:
    return JSONResponse(Problem(error=error, do=do).model_dump(), status_code)
