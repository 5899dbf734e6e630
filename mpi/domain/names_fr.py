"""French names: matching form, particles, placeholders, diminutives.

The matching form folds what three generations of French data disagree on (RNIV with hyphens, the older
rule without, free text with accents): upper case, no accents or ligatures, hyphen = apostrophe = blank.
Joined forms and token sets are made from it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_LIGATURES = {"Æ": "AE", "Œ": "OE", "ß": "SS", "Ø": "O", "Ł": "L", "Đ": "D", "Þ": "TH"}

_PARTICLES = """
D DA DAS DE DEL DELLA DES DI DO DOS DU EL L LA LAS LE LES LOS SAN SANTA VAN VANDE VANDEN VANDER VON
BEN BENT BOU AIT AL ABD
"""
PARTICLES = frozenset(_PARTICLES.split())
"""Words that lead or join a surname and are often lost or glued (DE LA TOUR, LATOUR, TOUR)."""

_SPELT_OUT = {"ST": "SAINT", "STE": "SAINTE"}

_PLACEHOLDERS = """
ANONYME ANON BEBE BB ENFANT FICTIF FICTIVE FILLE GARCON INCONNU INCONNUE INC INDETERMINE JUMEAU JUMELLE NA NEANT
NN NONCOMMUNIQUE NONRENSEIGNE NOUVEAUNE NOUVEAUNEE NOUVEAU NR PATIENT PATIENTE SANSNOM SANSPRENOM TEST UNKNOWN
X XX XXX XXXX XY Y YY Z ZZ ZZZ
"""
PLACEHOLDERS = frozenset(_PLACEHOLDERS.split())
"""Joined names that stand for "not known" or "not yet named"; they never count as evidence."""

_NEWBORN = "BEBE BB FILLE GARCON JUMEAU JUMELLE NOUVEAU NEE NE NOUVEAUNE NOUVEAUNEE ENFANT"
_NEWBORN_WORDS = frozenset(_NEWBORN.split())

_DIMINUTIVES = """
ALEXANDRE ALEX SACHA|ALEXANDRA ALEX SACHA|ANTOINE TONIO TONY|ANTHONY TONY|BENJAMIN BEN|BENOIT BEN|BERNADETTE DETTE
|CATHERINE CATHY KATIA CATH|CHRISTELLE CHRIS|CHRISTIAN CHRIS|CHRISTINE CHRIS|CHRISTOPHE CHRIS|CLEMENT CLEM
|DANIEL DANY DAN|DANIELLE DANY|DOMINIQUE DOM DOMI|EDOUARD EDDY|ELISABETH BABETH LISE ELISE BETTY LISA|EMMANUEL MANU
|EMMANUELLE MANU MANUE|FABRICE FAB|FABIEN FAB|FLORENCE FLO|FLORIAN FLO|FRANCOIS FRANCK FANFAN|FRANCOISE FANFAN
|FREDERIC FRED FREDDY|FREDERIQUE FRED|GABRIEL GABY|GABRIELLE GABY|GERARD GEGE|GUILLAUME GUY WILLIAM|HENRI RIRI
|ISABELLE ISA|JACQUELINE JACKIE LINE|JACQUES JACKY|JEAN JEANNOT|JEROME JEJE|JOSEPH JO JOJO|JOSEPHINE JO
|JOSIANE JOSY|LAURENT LOLO|LAURENCE LOLO|LOUIS LOULOU|LUCIEN LULU|LUDOVIC LUDO|MADELEINE MADO
|MARGUERITE MARGOT GUITE|MARIE MARIETTE MIMI|MARTINE TITINE|MATHIEU MAT|MATTHIEU MAT|MAXIME MAX|MAXIMILIEN MAX
|MICHEL MICHOU MICK|MICHELE MICHOU|MOHAMED MED MOMO|MOHAMMED MED MOMO|MONIQUE MOMO|NATHALIE NATH NATHY
|NICOLAS NICO|OLIVIER OLIVE|PASCAL PASCALOU|PATRICIA PAT PATTY|PATRICK PAT|PHILIPPE PHIL|PIERRE PIERROT|RAYMOND RAY
|RENE NENE|ROBERT BOB BOBBY|ROLAND ROLLY|SEBASTIEN SEB|SAMUEL SAM|SANDRINE SAND|STEPHANE STEPH|STEPHANIE STEPH FANNY
|SUZANNE SUZY SUZON|SYLVIE SYL|THEODORE THEO|THIERRY TITI|THOMAS TOM|VALERIE VAL|VERONIQUE VERO|VICTOR VIC
|VINCENT VINCE|VIRGINIE VIRGIE|YVES YVON|YVETTE VETTE|CHARLES CHARLY CHARLIE|CAROLINE CARO|DELPHINE DELPH
|GERALDINE GEGE|GREGORY GREG|JESSICA JESS|JONATHAN JO JOHN
|MARIANNE MANON|MELANIE MEL|MICHAEL MICKY MIKE|NATHAN NAT
|VALENTIN VAL|VALENTINE VAL|ABDELKADER KADER|ABDERRAHMANE RAHMAN RAHMANE|FATIMA FATI FATIHA FATMA|MUSTAPHA MOUSS
"""

_NEWBORN_OR_SURNAME = frozenset({"GARCON", "JUMEAU", "NOUVEAU"})
"""Words for a newborn that are surnames, too, when an ordinary given name follows them."""

_SAME_NAME: dict[str, frozenset[str]] = {}
for _group in _DIMINUTIVES.replace("\n", "").split("|"):
    _formal, *_short = _group.split()
    for _name in _short:
        _SAME_NAME[_name] = _SAME_NAME.get(_name, frozenset()) | {_formal}


@lru_cache(maxsize=1 << 17)
def fold(text: str) -> str:
    """The matching form of a name: A–Z words joined by single blanks; digits and other signs are dropped."""
    upper = text.upper()
    if not upper.isascii():
        for ligature, letters in _LIGATURES.items():
            upper = upper.replace(ligature, letters)
        upper = unicodedata.normalize("NFKD", upper)
    letters_only = [
        letter if "A" <= letter <= "Z" else ("" if unicodedata.combining(letter) else " ") for letter in upper
    ]
    return " ".join("".join(letters_only).split())


@lru_cache(maxsize=1 << 17)
def fold_family(text: str) -> str:
    """The matching form of a family name: :func:`fold` with SAINT and SAINTE spelt out."""
    folded = fold(text)
    if " " not in folded:
        return folded
    return " ".join(_SPELT_OUT.get(word, word) for word in folded.split(" "))


@lru_cache(maxsize=1 << 17)
def joined(name: str) -> str:
    """A matching form without blanks."""
    return name.replace(" ", "")


@lru_cache(maxsize=1 << 17)
def core(name: str) -> str:
    """A family name without its particles, joined; the whole name when nothing else is left."""
    kept = [word for word in name.split(" ") if word not in PARTICLES]
    return "".join(kept) if kept else joined(name)


@lru_cache(maxsize=1 << 17)
def parts(name: str) -> tuple[str, ...]:
    """The names a compound family name is made of, particles glued to what follows (``DE LA TOUR MARTIN``)."""
    found: list[str] = []
    leading = ""
    for word in name.split(" "):
        if word in PARTICLES or word in ("SAINT", "SAINTE"):
            leading += word
        else:
            found.append(leading + word)
            leading = ""
    if leading:
        found.append(leading)
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def is_placeholder(name: str) -> bool:
    """Whether a matching form stands for an unknown or not yet given name."""
    whole = joined(name)
    if whole in PLACEHOLDERS or (len(set(whole)) == 1 and len(whole) != 1):
        return True
    words = name.split(" ")
    return (len(words) > 1 and words[0] in _NEWBORN_WORDS) or (len(words) > 1 and all(w in PLACEHOLDERS for w in words))


def is_surname_after_all(name: str, given: str) -> bool:
    """Whether a word for a newborn is a surname here, because the given names are ordinary ones."""
    return name in _NEWBORN_OR_SURNAME and bool(given) and not is_placeholder(given)


def same_person_name(one: str, other: str) -> bool:
    """Whether one given name is a known short form of the other, or both of a third."""
    formal_one, formal_other = _SAME_NAME.get(one), _SAME_NAME.get(other)
    if formal_one and (other in formal_one or (formal_other and formal_one & formal_other)):
        return True
    return bool(formal_other and one in formal_other)


def formal_names(name: str) -> frozenset[str]:
    """The names that a given name may be a short form of; itself included."""
    return _SAME_NAME.get(name, frozenset()) | {name}
