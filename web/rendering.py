"""Turns views into HTML: one Jinja environment for each language, with the filters that pages need."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined

from ihe.values import PartialDate
from mpi.domain.record import regional_id
from web.catalogue import translator
from web.charts import meter, waterfall

_ZONE: Final = ZoneInfo("Europe/Paris")


@cache
def environment(language: str) -> Environment:
    """Templates in one language; every value is escaped."""
    made = Environment(
        loader=PackageLoader("web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    t = translator(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]
        t, lambda one, many, n: t(one if n == 1 else many), newstyle=True
    )
    made.globals.update(asset=asset, meter=meter, rid=regional_id, language=language)
    made.filters.update(
        moment=lambda at: _moment(at, language),
        day=lambda value: _day(value, language),
        stamp=lambda digits: _day(f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}".rstrip("-"), language),
        age=lambda at, now: format_timedelta(at - now, locale=language, granularity="minute", threshold=0.9),
        count=lambda n: format_decimal(n, locale=language),
        bits=lambda n: "–" if n is None else format_decimal(n, "#,##0.0", locale=language),
        index=lambda n: "–" if n is None else format_decimal(n, "#,##0.00", locale=language),
        share=lambda n: "–" if n is None else format_percent(n, "#,##0.0 %", locale=language),
        said=t,
    )
    return made


def render(language: str, name: str, values: Mapping[str, Any]) -> bytes:
    """A page as bytes."""
    return environment(language).get_template(name).render(values).encode()


def standing_waterfall(evidence: Mapping[str, Any], language: str) -> str:
    """The waterfall of a pair's weight as an SVG file that needs no page around it."""
    head, end, drawing = str(
        waterfall(evidence, translator(language), environment(language).filters["bits"])
    ).partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg" style="{_ALONE}"{end}<style>{_STYLE}</style>{drawing}'


_ALONE = "font: 12px system-ui, sans-serif"
_STYLE = (
    ".quiet { fill: #667 } .strong { font-weight: 650 } .end { text-anchor: end } .for { fill: #3c9a6a }"
    " .against { fill: #cf5564 } .total { fill: #3a7f8d } .limit { stroke: #667; stroke-dasharray: 4 3 }"
)


def _moment(at: datetime | None, language: str) -> str:
    return "" if at is None else format_datetime(at, "dd/MM/yyyy HH:mm", tzinfo=_ZONE, locale=language)


def _day(value: object, language: str) -> str:
    """A date as people of the language write it; a partial one as far as it is known."""
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return format_date(value.astimezone(_ZONE).date(), "dd/MM/yyyy", locale=language)
    if isinstance(value, date):
        return format_date(value, "dd/MM/yyyy", locale=language)
    text = value.iso if isinstance(value, PartialDate) else str(value)
    return "/".join(reversed(text.split("-")))


@cache
def asset(name: str) -> str:
    """Address of a static file, with a part that changes when the file does."""
    return f"/static/{name}?{hashlib.sha256(static_file(name)).hexdigest()[:10]}"


@cache
def static_file(name: str) -> bytes:
    """A file of ``static/``; ``FileNotFoundError`` when there is none."""
    if "/" in name or name.startswith("."):
        raise FileNotFoundError(name)
    return files("web").joinpath("static", name).read_bytes()
