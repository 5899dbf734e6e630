"""``traitdunion train``, ``model``, ``relink``: learn a match model, compare it with the present one, change to it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ihe.caller import REGION
from ihe.errors import IheError
from ihe.unit_of_work import UnitOfWork
from mpi.domain.default_models import default_french, generic
from mpi.domain.model import MatchModel
from mpi.services.change_model import Difference, activate_model, find_model, relink_everybody, shadow_run
from mpi.services.train_model import ENOUGH_LABELS, ENOUGH_OF_EACH, Trained, changes, train_model
from mpi.store import models
from region import running
from region.pair_tables import LOCAL
from region.settings import Settings
from region.training import Engine, best_engine, maximiser

_messages = Console(stderr=True)
_ONE_SNAPSHOT = "REPEATABLE READ"
Named = Annotated[
    str,
    typer.Argument(
        metavar="FILE|VERSION|NAME", help="A model file, the version of a kept model, or one built in: french, generic."
    ),
]
Decisions = Annotated[
    Path | None,
    typer.Option("-o", "--output", dir_okay=False, help="Also write each decision that would differ (CSV)."),
]
BUILT_IN = {"french": default_french, "generic": generic}


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands.

    Args:
        settings: reads the settings.
    """
    model = typer.Typer(help="Match models: which are kept, and which is in force.", no_args_is_help=True)
    app.add_typer(model, name="model")

    @app.command()
    def train(
        output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="Model file to write.")],
        engine: Annotated[
            Engine | None,
            typer.Option(help="Who learns: Splink on DuckDB or Spark, or our own; DuckDB when it is installed."),
        ] = None,
        spark_master: Annotated[
            str, typer.Option(metavar="URL", help="Cluster for --engine spark; else this machine.")
        ] = LOCAL,
        start: Annotated[
            str | None, typer.Option(metavar="FILE|VERSION|NAME", help="Model to begin with; else the one in force.")
        ] = None,
        wanted_false_links: Annotated[
            float | None,
            typer.Option(min=0, max=1, help="Share of automatic links that may be false; else the setting."),
        ] = None,
        labels: Annotated[
            bool, typer.Option(help="Learn from what stewards decided too, once they decided enough.")
        ] = True,
    ) -> None:
        """Learn a match model from the loaded population; print m, u and bits of every level."""
        chosen = engine or best_engine()
        learner = maximiser(chosen, spark_master)
        read = settings()
        with running.service(read) as service, service.database.unit(REGION, isolation=_ONE_SNAPSHOT) as uow:
            before = read_model(uow, start) if start else service.mpi.model
            wanted = wanted_false_links or read.wanted_false_links
            trained = train_model(uow, learner, before, wanted_false_links=wanted, use_labels=labels)
        learned = trained.learned
        output.write_text(json.dumps(learned.model.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        typer.echo("field,level,m,u,bits_before,bits_after")
        for row in changes(before, learned.model):
            typer.echo(f"{row.field},{row.level},{row.m:.6g},{row.u:.6g},{row.before_bits:.2f},{row.after_bits:.2f}")
        _say(
            f"{learned.model.name} ({chosen}, {learned.rounds} rounds): {learned.candidates} pairs shared a key,"
            f" about {learned.matches:.0f} of them one person; version {learned.model.version}"
        )
        _say(_of_stewards(trained))
        thresholds, false_links = learned.model.thresholds, learned.model.false_links
        if false_links is not None:
            _say(
                f"linked from {thresholds.automatic:g} bits, asked from {thresholds.possible:g}: share of false links"
                f" wanted {false_links.wanted or 'not stated'}, expected {false_links.estimated:.2g}"
            )

    @model.command("list")
    def list_models() -> None:
        """Kept models: version,name,active,activated_at,activated_by,note."""
        write = csv.writer(sys.stdout, lineterminator="\n").writerow
        write(["version", "name", "active", "activated_at", "activated_by", "note"])
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            for row in models.listed(uow.connection):
                at = row.activated_at.isoformat() if row.activated_at else ""
                write([row.version, row.name, "yes" if row.active else "", at, row.activated_by or "", row.note])

    @model.command("shadow")
    def shadow(named: Named, output: Decisions = None) -> None:
        """What a model would decide differently about the loaded population; nothing is changed."""
        with (
            running.service(settings()) as service,
            service.database.unit(REGION, isolation=_ONE_SNAPSHOT) as uow,
        ):
            _report(shadow_run(uow, service.mpi, read_model(uow, named)), output)

    @model.command("activate")
    def activate(
        named: Named,
        note: Annotated[str, typer.Option(help="Why, for whoever reads the list later.")] = "",
        output: Decisions = None,
    ) -> None:
        """Put a model in force after saying what it would decide differently; servers use it once restarted."""
        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            chosen = read_model(uow, named)
            _report(shadow_run(uow, service.mpi, chosen), output)
            activate_model(uow, chosen, note)
        _say(f"model {chosen.version} is in force; restart the servers, then: traitdunion relink")

    @app.command()
    def relink() -> None:
        """Weigh all pairs under the model in force and link anew what comes out differently."""

        def progress(done: int, total: int) -> None:
            if done % 500 == 0 or done == total:
                _say(f"linked anew: {done} of {total}")

        with running.service(settings()) as service, service.database.unit(REGION) as uow:
            typer.echo(f"groups_relinked: {relink_everybody(uow, service.mpi, progress)}")


def _of_stewards(trained: Trained) -> str:
    """What became of the stewards' word."""
    before, after = trained.before, trained.after
    count = before.same + before.different
    if not trained.learned.labels:
        enough = f"from {ENOUGH_LABELS} on, {ENOUGH_OF_EACH} of either answer"
        return f"stewards judged {count} pairs ({before.same} one person): not learned from ({enough})"
    return (
        f"learned from {count} pairs that stewards judged ({before.same} one person); of these it would keep apart"
        f" {after.same_kept_apart} (before: {before.same_kept_apart}), and link of the others {after.different_linked}"
        f" (before: {before.different_linked})"
    )


def _say(sentence: str) -> None:
    _messages.print(sentence, highlight=False, markup=False)


def _report(found: Difference, output: Path | None) -> None:
    """Print the counts, and write each decision that would differ."""
    for name in Difference.__dataclass_fields__:
        if name != "decisions":
            typer.echo(f"{name}: {getattr(found, name)}")
    if output is None:
        return
    with output.open("w", newline="", encoding="utf-8") as stream:
        write = csv.writer(stream, lineterminator="\n").writerow
        write(["change", "domain_a", "local_id_a", "domain_b", "local_id_b", "bits_before", "bits_after"])
        for each in found.decisions:
            keys = (part for key in (each.first, each.second) for part in (key.domain, key.local_id))
            write([each.change, *keys, f"{each.before_bits:.2f}", f"{each.after_bits:.2f}"])


def read_model(uow: UnitOfWork, named: str) -> MatchModel:
    """A model by file, version or name.

    Raises:
        IheError: there is none.
    """
    if named in BUILT_IN:
        return BUILT_IN[named]()
    path = Path(named)
    if not path.is_file():
        return find_model(uow, named)
    try:
        return MatchModel.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise IheError(f"{path.name}: not a match model") from error
