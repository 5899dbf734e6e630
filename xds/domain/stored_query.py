"""The stored queries of a registry as data: which parameters each takes, and what a request for one holds.

Source: ITI TF-2: 3.18.4.1.2.3.7 and 3.51.4.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ihe.errors import Finding
from ihe.values import PatientId
from xds.domain.datatypes import is_dtm
from xds.domain.model import AssociationType, DocumentKind


class Kind(Enum):
    """How the values of a parameter are read."""

    TEXT = auto()
    CODE = auto()
    """``code^^scheme``"""
    TIME = auto()
    """DTM"""
    PATIENT = auto()
    """CX"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query.

    Attributes:
        name: with its dollar sign.
        required: whether it must be given.
        many: whether several alternatives (OR) may be given.
        conjunction: whether it may be repeated to narrow (AND).
    """

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    many: bool = False
    conjunction: bool = False


@dataclass(frozen=True, slots=True)
class QueryDefinition:
    """One stored query.

    Attributes:
        exactly_one_of: parameters of which one, and only one, must be given.
        at_least_one_of: parameters of which one or more must be given.
    """

    name: str
    id: str
    parameters: tuple[Parameter, ...]
    exactly_one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()


Groups = tuple[tuple[str, ...], ...]
"""Conditions that must all hold, each a list of alternatives."""


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A request for a stored query, its values read and checked.

    Attributes:
        values: parameter name → conditions; codes and patient identifiers in their text form.
        leaf_class: whether whole objects are wanted, not references.
        home: homeCommunityId of the request, or ``None``.
    """

    definition: QueryDefinition
    values: Mapping[str, Groups]
    leaf_class: bool
    home: str | None = None

    def one(self, name: str) -> str | None:
        """The only value of a parameter, or ``None``."""
        groups = self.values.get(name)
        return groups[0][0] if groups else None

    def many(self, name: str) -> tuple[str, ...]:
        """The alternatives of a parameter; empty when it is not given."""
        groups = self.values.get(name)
        return groups[0] if groups else ()

    @property
    def patients(self) -> tuple[str, ...]:
        """The patient identifiers asked for, as CX."""
        names = (each.name for each in self.definition.parameters if each.kind is Kind.PATIENT)
        return tuple(value for name in names for value in self.many(name))

    def groups(self, name: str) -> Groups:
        """The conditions of a parameter; empty when it is not given."""
        return self.values.get(name, ())


def required_parameter(name: str, kind: Kind = Kind.TEXT, *, many: bool = False) -> Parameter:
    """A parameter that must be given."""
    return Parameter(name, kind, required=True, many=many)


def code_parameter(name: str, *, conjunction: bool = False) -> Parameter:
    """A parameter of codes."""
    return Parameter(name, Kind.CODE, many=True, conjunction=conjunction)


def _period(name: str) -> tuple[Parameter, Parameter]:
    return Parameter(f"{name}From", Kind.TIME), Parameter(f"{name}To", Kind.TIME)


def _many(name: str) -> Parameter:
    return Parameter(name, many=True)


_ENTRY = "$XDSDocumentEntry"
_SET = "$XDSSubmissionSet"
_FOLDER = "$XDSFolder"
_ASSOCIATION_STATUS = _many("$XDSAssociationStatus")
_LEVEL = Parameter("$MetadataLevel")
_ENTRY_TYPE = _many(f"{_ENTRY}Type")

_ENTRY_FILTERS = (
    code_parameter(f"{_ENTRY}ClassCode"),
    code_parameter(f"{_ENTRY}TypeCode"),
    code_parameter(f"{_ENTRY}PracticeSettingCode"),
    *_period(f"{_ENTRY}CreationTime"),
    *_period(f"{_ENTRY}ServiceStartTime"),
    *_period(f"{_ENTRY}ServiceStopTime"),
    code_parameter(f"{_ENTRY}HealthcareFacilityTypeCode"),
    code_parameter(f"{_ENTRY}EventCodeList", conjunction=True),
    code_parameter(f"{_ENTRY}ConfidentialityCode", conjunction=True),
    _many(f"{_ENTRY}AuthorPerson"),
    code_parameter(f"{_ENTRY}FormatCode"),
    required_parameter(f"{_ENTRY}Status", many=True),
    _ENTRY_TYPE,
    _many(f"{_ENTRY}DocumentAvailability"),
    _LEVEL,
)
_FOLDER_FILTERS = (
    *_period(f"{_FOLDER}LastUpdateTime"),
    code_parameter(f"{_FOLDER}CodeList", conjunction=True),
    required_parameter(f"{_FOLDER}Status", many=True),
    _LEVEL,
)
_CONTENT_FILTERS = (
    code_parameter(f"{_ENTRY}FormatCode"),
    code_parameter(f"{_ENTRY}ConfidentialityCode", conjunction=True),
    _ENTRY_TYPE,
    _many(f"{_ENTRY}Status"),
    _ASSOCIATION_STATUS,
    _LEVEL,
)
_ONE_ENTRY = (Parameter(f"{_ENTRY}EntryUUID"), Parameter(f"{_ENTRY}UniqueId"))
_ENTRIES = (_many(f"{_ENTRY}EntryUUID"), _many(f"{_ENTRY}UniqueId"))
_ENTRY_IDS = (f"{_ENTRY}EntryUUID", f"{_ENTRY}UniqueId")
_REFERENCE_IDS = Parameter(f"{_ENTRY}ReferenceIdList", required=True, many=True, conjunction=True)

_DEFINITIONS = (
    QueryDefinition(
        "FindDocuments",
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        (required_parameter(f"{_ENTRY}PatientId", Kind.PATIENT), *_ENTRY_FILTERS),
    ),
    QueryDefinition(
        "FindSubmissionSets",
        "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
        (
            required_parameter(f"{_SET}PatientId", Kind.PATIENT),
            _many(f"{_SET}SourceId"),
            *_period(f"{_SET}SubmissionTime"),
            Parameter(f"{_SET}AuthorPerson"),
            code_parameter(f"{_SET}ContentType"),
            required_parameter(f"{_SET}Status", many=True),
            _LEVEL,
        ),
    ),
    QueryDefinition(
        "FindFolders",
        "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        (required_parameter(f"{_FOLDER}PatientId", Kind.PATIENT), *_FOLDER_FILTERS),
    ),
    QueryDefinition(
        "GetAll",
        "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        (
            required_parameter("$patientId", Kind.PATIENT),
            required_parameter(f"{_ENTRY}Status", many=True),
            required_parameter(f"{_SET}Status", many=True),
            required_parameter(f"{_FOLDER}Status", many=True),
            *(each for each in _CONTENT_FILTERS if each.name != f"{_ENTRY}Status"),
        ),
    ),
    QueryDefinition(
        "GetDocuments",
        "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
        (*_ENTRIES, _many(f"{_ENTRY}LogicalID"), _LEVEL),
        exactly_one_of=(*_ENTRY_IDS, f"{_ENTRY}LogicalID"),
    ),
    QueryDefinition(
        "GetFolders",
        "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4",
        (_many(f"{_FOLDER}EntryUUID"), _many(f"{_FOLDER}UniqueId"), _many(f"{_FOLDER}LogicalID"), _LEVEL),
        exactly_one_of=(f"{_FOLDER}EntryUUID", f"{_FOLDER}UniqueId", f"{_FOLDER}LogicalID"),
    ),
    QueryDefinition(
        "GetAssociations",
        "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
        (required_parameter("$uuid", many=True), _ASSOCIATION_STATUS, _LEVEL),
    ),
    QueryDefinition(
        "GetDocumentsAndAssociations",
        "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
        (*_ENTRIES, _ASSOCIATION_STATUS, _LEVEL),
        exactly_one_of=_ENTRY_IDS,
    ),
    QueryDefinition(
        "GetSubmissionSets",
        "urn:uuid:51224314-5390-4169-9b91-b1980040715a",
        (required_parameter("$uuid", many=True), _LEVEL),
    ),
    QueryDefinition(
        "GetSubmissionSetAndContents",
        "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
        (Parameter(f"{_SET}EntryUUID"), Parameter(f"{_SET}UniqueId"), *_CONTENT_FILTERS),
        exactly_one_of=(f"{_SET}EntryUUID", f"{_SET}UniqueId"),
    ),
    QueryDefinition(
        "GetFolderAndContents",
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        (Parameter(f"{_FOLDER}EntryUUID"), Parameter(f"{_FOLDER}UniqueId"), *_CONTENT_FILTERS),
        exactly_one_of=(f"{_FOLDER}EntryUUID", f"{_FOLDER}UniqueId"),
    ),
    QueryDefinition(
        "GetFoldersForDocument",
        "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
        (*_ONE_ENTRY, _ASSOCIATION_STATUS, _LEVEL),
        exactly_one_of=_ENTRY_IDS,
    ),
    QueryDefinition(
        "GetRelatedDocuments",
        "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
        (*_ONE_ENTRY, required_parameter("$AssociationTypes", many=True), _ENTRY_TYPE, _ASSOCIATION_STATUS, _LEVEL),
        exactly_one_of=_ENTRY_IDS,
    ),
    QueryDefinition(
        "FindDocumentsByReferenceId",
        "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
        (required_parameter(f"{_ENTRY}PatientId", Kind.PATIENT), _REFERENCE_IDS, *_ENTRY_FILTERS),
    ),
)

_SEVERAL_PATIENTS = Parameter(f"{_ENTRY}PatientId", Kind.PATIENT, many=True)

_MULTI_PATIENT_DEFINITIONS = (
    QueryDefinition(
        "FindDocumentsForMultiplePatients",
        "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        (_SEVERAL_PATIENTS, *_ENTRY_FILTERS),
        at_least_one_of=(
            f"{_ENTRY}PatientId",
            f"{_ENTRY}ClassCode",
            f"{_ENTRY}EventCodeList",
            f"{_ENTRY}HealthcareFacilityTypeCode",
        ),
    ),
    QueryDefinition(
        "FindFoldersForMultiplePatients",
        "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
        (Parameter(f"{_FOLDER}PatientId", Kind.PATIENT, many=True), *_FOLDER_FILTERS),
        at_least_one_of=(f"{_FOLDER}PatientId", f"{_FOLDER}CodeList"),
    ),
    QueryDefinition(
        "FindDocumentsByReferenceIdForMultiplePatients",
        "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5",
        (_SEVERAL_PATIENTS, _REFERENCE_IDS, *_ENTRY_FILTERS),
    ),
)

STORED_QUERIES: Mapping[str, QueryDefinition] = {each.id: each for each in _DEFINITIONS}
"""The queries of ITI-18 by id."""

MULTI_PATIENT_QUERIES: Mapping[str, QueryDefinition] = {each.id: each for each in _MULTI_PATIENT_DEFINITIONS}
"""The queries of ITI-51 by id."""


def check_query(definition: QueryDefinition, given: Mapping[str, Groups]) -> list[Finding]:
    """Everything wrong with the parameters of a request."""
    return [*_unknown(definition, given), *_cardinality(definition, given), *_values(definition, given)]


def _unknown(definition: QueryDefinition, given: Mapping[str, Groups]) -> Iterator[Finding]:
    known = {parameter.name for parameter in definition.parameters}
    for name in given:
        # "…CodeScheme" is of the first edition; now each code names its own scheme and is checked for it.
        if name.removesuffix("Scheme") not in known:
            yield Finding("XDSRegistryError", f"{definition.name} has no parameter {name}", name)


def _cardinality(definition: QueryDefinition, given: Mapping[str, Groups]) -> Iterator[Finding]:
    missing, number = "XDSStoredQueryMissingParam", "XDSStoredQueryParamNumber"
    for parameter in definition.parameters:
        groups = given.get(parameter.name)
        if groups is None:
            if parameter.required:
                yield Finding(missing, f"{definition.name} requires {parameter.name}", parameter.name)
            continue
        if len(groups) > 1 and not parameter.conjunction:
            yield Finding(number, f"{parameter.name} must not be repeated", parameter.name)
        if not parameter.many and any(len(alternatives) > 1 for alternatives in groups):
            yield Finding(number, f"{parameter.name} takes one value", parameter.name)
    alternatives = [name for name in definition.exactly_one_of if name in given]
    if definition.exactly_one_of and len(alternatives) != 1:
        names = ", ".join(definition.exactly_one_of)
        code = number if alternatives else missing
        yield Finding(code, f"{definition.name} takes exactly one of {names}", definition.name)
    if definition.at_least_one_of and not any(name in given for name in definition.at_least_one_of):
        names = ", ".join(definition.at_least_one_of)
        yield Finding(missing, f"{definition.name} needs at least one of {names}", definition.name)


def _values(definition: QueryDefinition, given: Mapping[str, Groups]) -> Iterator[Finding]:
    for parameter in definition.parameters:
        for value in (each for group in given.get(parameter.name, ()) for each in group):
            problem = _problem(parameter, value)
            if problem:
                yield Finding("XDSRegistryError", f"{parameter.name} {problem}", parameter.name)


def _problem(parameter: Parameter, value: str) -> str | None:
    if parameter.kind is Kind.CODE:
        parts = value.split("^")
        if len(parts) != 3 or parts[1] or not parts[0] or not parts[2]:
            return "holds a code that is not written 'code^^scheme'"
    elif parameter.kind is Kind.TIME:
        if not is_dtm(value):
            return "is no date-time YYYY[MM[DD[hh[mm[ss]]]]]"
    elif parameter.kind is Kind.PATIENT:
        try:
            PatientId.from_xds_cx(value)
        except ValueError as error:
            return f"is no patient identifier: {error}"
    elif parameter.name == "$AssociationTypes" and value not in tuple(AssociationType):
        return "holds an association type that is not known"
    elif parameter is _ENTRY_TYPE and value.lower() not in tuple(DocumentKind):
        return "holds a kind of document entry that is not known"
    return None
