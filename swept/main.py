"""The front door: one command a file, registered here by name.

A command's module imports what is heavy inside its function, so that `swept --help` answers at once. An
error that a person can put right leaves as one line on stderr and status 2; any other keeps its traceback.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from swept import (
    analyze,
    demo,
    dispute,
    district,
    evidence,
    excuse,
    ingest,
    maintain,
    migrate,
    process,
    replay,
    report,
    reprocess,
    score,
    serve,
    simulate,
    status,
    streets,
    up,
    verify,
)
from swept.errors import UserError
from swept.kernel_cache import use_own_cache

app = typer.Typer(
    name="swept",
    help=(
        "Which streets were swept, when, how completely and how often, from what the machines report.\n\n"
        "Start with [bold]swept demo[/bold]: a shift of twelve units on 144 streets in three minutes. "
        "[bold]swept analyze[/bold] counts a file of fixes without any server. For a district of your own "
        "run [bold]swept up[/bold], which starts a broker, a database, [bold]swept ingest[/bold], "
        "[bold]swept process[/bold] and [bold]swept serve[/bold]; each of these can be run by itself, too. "
        "[dim]Every command explains itself with --help.[/dim]"
    ),
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _panel, _commands in {
    "Try it": (demo.demo, analyze.analyze),
    "Run a district": (
        up.up,
        ingest.ingest,
        process.process,
        serve.serve,
        report.report,
        status.status,
        reprocess.reprocess,
        migrate.migrate,
        maintain.maintain,
    ),
    "Prove it": (evidence.evidence, verify.verify, dispute.dispute),
    "Play and compare": (simulate.simulate, replay.replay, score.score),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(excuse.app, rich_help_panel="Run a district")
app.add_typer(streets.app, rich_help_panel="Describe a district")
app.add_typer(district.app, rich_help_panel="Describe a district")


def _flow(text: str) -> str:
    """A docstring whose paragraphs are lines of their own, so that the terminal's width breaks them."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


for _app in (app, streets.app, district.app, excuse.app):
    for _registered in _app.registered_commands:
        _registered.help = _flow((_registered.callback and _registered.callback.__doc__) or "")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"swept {installed_version('swept')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the release.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run a command line (without the program's name); returns the exit status."""
    try:
        status = app(args=list(arguments) or ["--help"], prog_name="swept", standalone_mode=False)
    except UserError as error:
        return _refuse(str(error), error.exit_code)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        if context is not None and not error.format_message().strip():
            # A group of commands without one of them: its help is the answer, as it is for `swept` alone.
            return run([*context.command_path.split()[1:], "--help"])
        path = "swept" if context is None else context.command_path
        message = " ".join(error.format_message().split()).rstrip(".")
        return _refuse(f"{message}; see {path} --help.", error.exit_code)
    except (Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return status if isinstance(status, int) else 0


def _refuse(message: str, status: int) -> int:
    print(f"swept: {message}", file=sys.stderr)
    return status


def main() -> None:
    """The `swept` command."""
    use_own_cache()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
