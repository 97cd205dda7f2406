"""`swept migrate`: bring the store's schema up to this release."""

from __future__ import annotations

from typing import Annotated

import typer


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; status 1 if anything is.")
    ] = False,
) -> None:
    """Bring the store's schema up to this release.

    Applies the numbered migrations that the store lacks, each in a transaction of its own; what is there
    already is left alone, so that it can be run at any time. The embedded store does this by itself.
    """
    from rich.console import Console

    from storage.migrate import pending
    from swept.settings import read_settings
    from swept.wiring import apply_migrations, connect, services

    console = Console()
    with services(read_settings()) as where, connect(where.store_url) as connection:
        if check:
            missing = pending(connection)
            for label in missing:
                console.print(f"missing {label}")
            if missing:
                raise typer.Exit(1)
        else:
            for label in apply_migrations(connection):
                console.print(f"applied {label}")
        console.print("the store has all migrations")
