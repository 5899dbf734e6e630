"""Anatomic regions of the region's value set, and what pictures call the body parts in them.

Source: DICOM PS3.16 Annex L (body part examined); CI-SIS, value set of anatomic regions (1.2.250.1.213.1.1.5.695).
"""

from __future__ import annotations

from typing import Final

from ihe.values import Code

SNOMED_CT: Final = "2.16.840.1.113883.6.96"
_REGIONS: Final = (
    ("67734004", "segment thoracique du tronc", "CHEST THORAX LUNG RIB STERNUM CLAVICLE MEDIASTINUM"),
    ("76752008", "sein", "BREAST"),
    ("80891009", "cœur", "HEART"),
    ("113257007", "système cardiovasculaire", "CORONARYARTERY AORTA CAROTID ARTERY VEIN"),
    ("774007", "tête et cou", "HEAD BRAIN SKULL NECK SINUS HEADNECK ORBIT EAR JAW MAXILLA MANDIBLE FACE THYROID"),
    (
        "737561001",
        "colonne vertébrale et/ou moelle épinière",
        "SPINE CSPINE TSPINE LSPINE SSPINE COCCYX LSSPINE",
    ),
    (
        "63337009",
        "segment abdominopelvien du tronc",
        "ABDOMEN PELVIS ABDOMENPELVIS LIVER KIDNEY BLADDER PANCREAS SPLEEN PROSTATE UTERUS COLON",
    ),
    ("53120007", "membre supérieur", "SHOULDER ARM ELBOW FOREARM WRIST HAND FINGER HUMERUS RADIUS ULNA SCAPULA THUMB"),
    ("61685007", "membre inférieur", "HIP LEG KNEE ANKLE FOOT FEMUR THIGH CALF TOE PATELLA TIBIA FIBULA CALCANEUS"),
    ("38266002", "corps entier", "WHOLEBODY BODY"),
)
_BY_PART: Final = {part: Code(code, SNOMED_CT, name) for code, name, parts in _REGIONS for part in parts.split()}
_BY_CODE: Final = {code: parts.split()[0] for code, _, parts in _REGIONS}


def region_of(body_part: str | None) -> Code | None:
    """The region in which a body part (0018,0015) lies, or ``None`` when that is not known."""
    return _BY_PART.get((body_part or "").upper().replace(" ", ""))


def body_part_in(region: Code) -> str:
    """The usual body part of a region; empty when it is none of the value set."""
    return _BY_CODE.get(region.code, "")
