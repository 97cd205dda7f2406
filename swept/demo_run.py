"""What `swept demo` does, step by step: start everything, play the shift, wait, compare, serve."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rich.console import Console

from processing.pipeline import Core
from simulators.device import Broker
from simulators.fleet import ClockError, DistrictClock, Fleet, Outcome, Progress, set_clock
from simulators.scenario import Run, play
from simulators.truth import truth_of, write_truth
from swept.child_server import free_port
from swept.demo_view import Line, View
from swept.embedded_postgres import EmbeddedPostgres
from swept.errors import UserError
from swept.playing import district_and_plan
from swept.progress import progress
from swept.roles import environment_of, programs, wait_for_api
from swept.settings import Settings
from swept.simulate import find_scenario
from swept.supervisor import Supervisor, running
from swept.wiring import Services, embedded, make_home

ECHO_S_MAX = 60.0
#: How long the line may take to commit what is acknowledged, after the last report.
COMMIT_S_MAX = 180.0


@dataclass(frozen=True, slots=True)
class Playing:
    """A demo that runs, for who looks on: what is played and by whom, and where the results come out."""

    played: Run
    fleet: Fleet
    clock: DistrictClock
    supervisor: Supervisor
    store_url: str
    api_url: str


class Onlooker:
    """Looks on a demo, and may do to its processes what it likes; this one leaves it alone."""

    def playing(self, _: Playing) -> AbstractContextManager[object]:
        """Around all that is sent and its acknowledgement; on leaving, the demo waits for the last figures."""
        return contextlib.nullcontext()

    def done(self, _: Playing) -> None:
        """All figures are there, and everything still runs."""


class Demo:
    """One run of the demo in `home`/demo."""

    def __init__(
        self, settings: Settings, rate: float, port: int, scenario: str, onlooker: Onlooker | None = None
    ) -> None:
        self._settings = settings
        self._onlooker = onlooker or Onlooker()
        self._home = settings.home / "demo"
        self._rate = rate
        self._port = port or free_port()
        self._scenario = find_scenario(scenario)
        self._folder = settings.district_folder
        self._console = Console()

    def run(self, *, stay: bool) -> None:
        """Everything; Ctrl-C ends it in good order at any time."""
        district, rounds = district_and_plan(self._folder)
        self._clear()
        with embedded(self._home, mqtt_port=0) as (store_url, mqtt_url, supervisor):
            self._start(supervisor, store_url, mqtt_url)
            with progress("simulating the shift", total=len(district.units)) as advance:
                played = play(district, self._scenario, rounds, lambda done, _: advance(done))
            write_truth(self._home / "truth.json", truth_of(played))
            self._say(supervisor)
            with contextlib.closing(Line(store_url, Core(district), played.start_us)) as line:
                playing = self._clocked(played, store_url, mqtt_url, supervisor)
                outcome = self._play(playing, line)
                self._commit(supervisor, line)
                self._tell(played, outcome, supervisor, line)
                self._onlooker.done(playing)
            with contextlib.suppress(KeyboardInterrupt):  # the good end of serving
                while stay:
                    time.sleep(0.5)
                    supervisor.check()
        EmbeddedPostgres(self._home / "postgres").destroy()

    def _clear(self) -> None:
        """An empty folder, unless another demo uses it."""
        found = running(self._home)
        if found is not None:
            raise UserError(f"a demo runs already, process {found['pid']}; end it, or set SWEPT_HOME.")
        if self._home.exists():
            EmbeddedPostgres(self._home / "postgres").destroy()
            shutil.rmtree(self._home)
        make_home(self._home)

    def _start(self, supervisor: Supervisor, store_url: str, mqtt_url: str) -> None:
        settings = self._settings.model_copy(update={"district": self._folder})
        environment = environment_of(Services(store_url, mqtt_url, "those of the demo"), settings)
        for program in programs(environment, ("--port", str(self._port))):
            supervisor.start(program)
        supervisor.say(api_url=self.api_url)

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._port}"

    def _say(self, supervisor: Supervisor) -> None:
        wait_for_api(supervisor, self.api_url, self._home / "logs/api.log")
        pids = ", ".join(f"{name} {pid}" for name, pid in supervisor.pids.items())
        self._console.print(
            f"API [bold]{self.api_url}/docs[/bold], state and logs in {self._home}", soft_wrap=True
        )
        self._console.print(f"processes: {pids}", soft_wrap=True)

    def _clocked(self, played: Run, store_url: str, mqtt_url: str, supervisor: Supervisor) -> Playing:
        """Set the district's clock to the shift's start, and make the devices ready."""
        broker, district = Broker.of(mqtt_url), played.district
        clock = DistrictClock.from_now(played.start_us, self._rate)
        try:
            set_clock(broker, district.district_id, clock, ECHO_S_MAX)
        except ClockError as error:
            raise UserError(f"{error}; see {self._log('ingest')}.") from None
        fleet = Fleet(broker, district.district_id, [unit.unit_id for unit in played.units], resend_s=5.0)
        return Playing(played, fleet, clock, supervisor, store_url, self.api_url)

    def _play(self, playing: Playing, line: Line) -> Outcome:
        """All reports over MQTT by the district's clock, with a view of where they are."""
        played = playing.played
        with View(self._console, played.district.rules.timezone) as view, self._onlooker.playing(playing):

            def told(now: Progress) -> None:
                playing.supervisor.check()
                view.show(now, line.seen())

            return playing.fleet.play(played.deliveries, playing.clock, told)

    def _commit(self, supervisor: Supervisor, line: Line) -> None:
        """Wait until all that is in the log is in the figures too."""
        deadline = time.monotonic() + COMMIT_S_MAX
        with progress("waiting for the last figures"):
            while not line.is_done():
                supervisor.check()
                if time.monotonic() > deadline:
                    raise UserError(f"the worker doesn't reach the log's end; see {self._log('worker')}.")
                time.sleep(0.2)

    def _tell(self, played: Run, outcome: Outcome, supervisor: Supervisor, line: Line) -> None:
        """Figures beside the truth, the score, the counts; what was lost is an error."""
        line.tell(self._console, played)
        left = sum(outcome.unacknowledged.values())
        self._console.print(
            f"{outcome.sent:,} messages sent ({outcome.resent:,} again) over {outcome.connects} connections, "
            f"{outcome.acknowledged:,} acknowledged, {left:,} not.",
            soft_wrap=True,
        )
        restarts = Counter(supervisor.restarts)
        told = ", ".join(f"{name} {count} times" for name, count in sorted(restarts.items())) or "nothing"
        peak = f"Peak memory of all processes: {supervisor.peak_mib:,.0f} MiB."
        self._console.print(f"Died and was started again: {told}. {peak}", soft_wrap=True)
        if not outcome.complete:
            raise UserError(f"{left:,} reports were not acknowledged; see {self._log('ingest')}.")
        self._console.print(f"API {self.api_url}/docs (Ctrl-C ends the demo)", soft_wrap=True)

    def _log(self, name: str) -> str:
        return str(self._home / "logs" / f"{name}.log")
