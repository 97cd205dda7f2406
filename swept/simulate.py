"""`swept simulate`: a shift from a seed, to a broker or to files, with the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulators.scenario import Scenario


def simulate(
    scenario: Annotated[
        str, typer.Option(help="A scenario that comes with swept (quiet, shift, hard), or a TOML file.")
    ] = "shift",
    out: Annotated[Path, typer.Option(help="Folder for truth.json and, offline, fixes.csv.")] = Path("run"),
    offline: Annotated[bool, typer.Option("--offline", help="Write fixes.csv instead of sending.")] = False,
    rate: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="How many times faster than the clock it is sent.")
    ] = 60.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Another course of events; else the scenario's own.")
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            help="mqtt:// or mqtts:// broker; else SWEPT_MQTT_URL, else the one of a running swept ingest."
        ),
    ] = None,
    district: Annotated[
        Path | None,
        typer.Option(help="Folder of the district; else SWEPT_DISTRICT, else the one that comes with swept."),
    ] = None,
) -> None:
    """Play a simulated shift: the district's units on its streets, with what goes wrong on the way.

    [bold]swept simulate --offline --out run[/bold] writes [cyan]run/fixes.csv[/cyan], which swept analyze reads,
    and [cyan]run/truth.json[/cyan], which swept score compares results with. The same seed gives the same bytes.

    [bold]swept simulate --rate 160 --out run[/bold] sends the same over MQTT to a running swept ingest, each
    unit over a connection of its own, and sets the district's clock to the shift. Devices keep their reports
    until they are durable in the log, so brokers and ingest may be restarted meanwhile.
    """
    from simulators.scenario import play, with_seed
    from simulators.truth import truth_of, write_fixes, write_truth
    from swept.errors import UserError, on_disk
    from swept.playing import district_and_plan, ingestors, mqtt_url, play_live, tell
    from swept.progress import progress
    from swept.settings import read_settings

    settings = read_settings()
    chosen = with_seed(find_scenario(scenario), seed)
    where, rounds = district_and_plan(district or settings.district_folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} can't be a folder ({error.strerror}); name another with --out.") from error
    with progress("simulating", total=len(where.units)) as advance:
        run = play(where, chosen, rounds, lambda done, _: advance(done))
    with on_disk(out, "name another folder with --out"):
        write_truth(out / "truth.json", truth_of(run))
    print(f"{len(run.truth_passes):,} true passes of {len(run.units)} units in {out / 'truth.json'}.")
    if offline:
        with on_disk(out, "name another folder with --out"):
            print(f"{write_fixes(out / 'fixes.csv', run):,} fixes in {out / 'fixes.csv'}.")
        return
    url, members = mqtt_url(mqtt, settings), ingestors(mqtt, settings)
    tell(play_live(run.deliveries, url, where.district_id, rate, ingestors=members))


def find_scenario(name: str) -> Scenario:
    """A scenario by the name of one that comes with swept, or by its file; UserError where there is none."""
    from simulators.scenario import ScenarioError, load_scenario
    from swept.errors import UserError, on_disk
    from swept.settings import configs_folder

    folder = configs_folder() / "scenarios"
    path = folder / f"{name}.toml" if name.isidentifier() else Path(name)
    with on_disk(path, "name a scenario's TOML file"):
        there = path.is_file()
    if not there:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise UserError(f"No scenario {name!r}; name a TOML file, or one of {known}.")
    try:
        return load_scenario(path)
    except (ScenarioError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{error}; correct {path}.") from None
