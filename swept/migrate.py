"""`swept migrate`: bring the store's schema and the log's topics up to this release."""

from __future__ import annotations

from typing import Annotated

import typer


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; status 1 if anything is.")
    ] = False,
) -> None:
    """Bring the store's schema, and on Kafka the log's topics, up to this release.

    Applies the numbered migrations that the store lacks, each in a transaction of its own; what is there
    already is left alone, so that it can be run at any time. The embedded store does this by itself. Where
    SWEPT_LOG_URL names a Kafka, its topics are made as the URL says, and their settings corrected.
    """
    from rich.console import Console

    from storage.migrate import pending
    from swept.settings import read_settings
    from swept.wiring import apply_migrations, connect, make_topics, services

    console = Console()
    with services(read_settings()) as where, connect(where.store_url) as connection:
        if check:
            missing = [f"missing {label}" for label in pending(connection)]
            missing += make_topics(where.log_url, check=True) if where.log_url else []
            for line in missing:
                console.print(line, soft_wrap=True)
            if missing:
                raise typer.Exit(1)
        else:
            for label in apply_migrations(connection):
                console.print(f"applied {label}")
            for done in make_topics(where.log_url, check=False) if where.log_url else []:
                console.print(f"made {done}", soft_wrap=True)
        console.print("the store has all migrations" + (", the log its topics" if where.log_url else ""))
