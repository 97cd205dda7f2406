"""The API behind a socket: uvicorn, on loopback unless told otherwise."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

START_S_MAX = 30.0


def bind(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket that listens there (port 0: any that is free); OSError where that can't be."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def server(app: FastAPI) -> uvicorn.Server:
    """A server that says only what goes wrong."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, loop="asyncio", http="h11", ws="none", lifespan="on"
    )
    return uvicorn.Server(config)


@contextmanager
def serving(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in a thread for as long as the context lasts; gives the URL."""
    listening = bind(host, port)
    own = server(app)
    thread = threading.Thread(target=own.run, args=([listening],), name="api", daemon=True)
    thread.start()
    try:
        deadline_s = time.monotonic() + START_S_MAX
        while not own.started:
            if not thread.is_alive() or time.monotonic() > deadline_s:
                raise RuntimeError("the API didn't start; its reason is on stderr")
            time.sleep(0.01)
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        own.should_exit = True
        thread.join()
        listening.close()
