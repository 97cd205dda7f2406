"""A role of swept as `swept ingest` and `swept process` run it, and a file that says what it does with its time.

    python benchmarks/watched.py FILE ingest|process [OPTIONS]

Each second FILE says, since the start: the seconds of each step of the worker, how often the log was called, with
how many records and for how long, the CPU seconds of each thread, and the worker's counts.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from swept.kernel_cache import use_own_cache

use_own_cache()

import streams.worker
import swept.wiring
from swept.ingest import ingest
from swept.process import process

TICKS_S = os.sysconf("SC_CLK_TCK")
EVERY_S = 1.0


class Watch:
    """What is counted, and the thread that writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.steps: dict[str, float] = defaultdict(float)
        self.calls: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
        self.worker: Any = None
        self._last_s = time.perf_counter()
        threading.Thread(target=self._write_on_and_on, name="watch", daemon=True).start()

    def step(self, name: str) -> None:
        """A step of the worker is done."""
        now_s = time.perf_counter()
        self.steps[name] += now_s - self._last_s
        self._last_s = now_s

    def begin(self) -> None:
        """A step of the worker begins: what went before was no step's."""
        self._last_s = time.perf_counter()

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted with the records that it takes or gives."""

        def counted(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it is
            begun_s = time.perf_counter()
            result = call(*args, **named)
            given = result if isinstance(result, list) else args[0] if args else ()
            count = self.calls[name]
            count[0] += 1
            count[1] += len(given) if isinstance(given, list | tuple) else 0
            count[2] += time.perf_counter() - begun_s
            return result

        return counted

    def log(self, log: Any) -> Any:  # noqa: ANN401 - of either kind
        """The same log, its calls counted."""
        log.append, log.read = self.timed("append", log.append), self.timed("read", log.read)
        return log

    def _write_on_and_on(self) -> None:
        while True:
            time.sleep(EVERY_S)
            counts = {} if self.worker is None else asdict(self.worker.counts)
            text = json.dumps(
                {"steps": self.steps, "calls": self.calls, "threads": _threads(), "counts": counts}
            )
            draft = self._path.with_suffix(".new")
            draft.write_text(text)
            draft.replace(self._path)


def _threads() -> dict[str, float]:
    """CPU seconds of each thread by its name."""
    found: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread.native_id is not None:
            found[thread.name] += _cpu_s(thread.native_id)
    return found


def _cpu_s(thread: int) -> float:
    try:
        fields = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / TICKS_S


def _watch_worker(watch: Watch) -> None:
    class Watched(streams.worker.Worker):
        def __init__(self, *args: Any, **named: Any) -> None:  # noqa: ANN401 - the worker's own
            told = named.pop("on_step", None)

            def on_step(step: str) -> None:
                watch.step(step)
                if told is not None:
                    told(step)

            super().__init__(*args, **named, on_step=on_step)
            watch.worker = self

        def step(self) -> int:
            watch.begin()
            return super().step()

    streams.worker.Worker = Watched  # type: ignore[misc]


def main(path: Path, role: str, options: Iterable[str]) -> None:
    """Run the role."""
    watch = Watch(path)
    open_log = swept.wiring.open_log
    swept.wiring.open_log = lambda *args, **named: watch.log(open_log(*args, **named))
    if role == "process":
        _watch_worker(watch)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(ingest if role == "ingest" else process)
    app(list(options))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
