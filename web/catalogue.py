"""Texts in the visitor's language, from the catalogues of ``locale/``; keys are the English texts, or codes.

Catalogues are read as they are written (``.po``): nothing is compiled, and a missing text shows in English.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

from babel.messages.pofile import read_po

LANGUAGES: Final = ("fr", "en")
DEFAULT_LANGUAGE: Final = "fr"


@cache
def catalogue(language: str) -> dict[str, str]:
    """The translated texts of a language by their English form."""
    source = files("web").joinpath("locale", language, "messages.po")
    if not source.is_file():
        return {}
    with source.open("rb") as lines:
        messages = read_po(lines, locale=language, abort_invalid=True)
    return {str(m.id): str(m.string) for m in messages if m.id and m.string}


def translator(language: str) -> Callable[[str], str]:
    """Translates one text."""
    texts = catalogue(language)
    return lambda text: texts.get(text, text)


def chosen(cookie: str, accepted: str) -> str:
    """The language of a visitor: the one chosen, else the first of the browser's that there is, else French."""
    if cookie in LANGUAGES:
        return cookie
    wished = [part.partition(";")[0].strip()[:2].lower() for part in accepted.split(",")]
    return next((language for language in wished if language in LANGUAGES), DEFAULT_LANGUAGE)
