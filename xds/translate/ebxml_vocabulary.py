"""Where ebRIM keeps each attribute of XDS metadata: namespaces, scheme UUIDs, slot names.

One table per kind of object, read by the reader and the writer alike, so that what is read is what is written.

Source: ITI TF-3: 4.2.3 and 4.2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"

_REGISTRY_OBJECT = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
CLASSIFICATION_TYPE = _REGISTRY_OBJECT + "Classification"
EXTERNAL_IDENTIFIER_TYPE = _REGISTRY_OBJECT + "ExternalIdentifier"
PACKAGE_TYPE = _REGISTRY_OBJECT + "RegistryPackage"
ASSOCIATION_TYPE = _REGISTRY_OBJECT + "Association"

SUBMISSION_SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
ASSOCIATION_DOCUMENTATION = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one attribute stands and which field of the domain object holds it.

    Attributes:
        key: slot name, classification scheme UUID or identification scheme UUID.
        field: name of the field in :mod:`xds.domain.model`.
        attribute: the standard's name, for error texts.
        many: whether several values are allowed.
    """

    key: str
    field: str
    attribute: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one kind of object, each group in the order in which it is written.

    Attributes:
        kind: the standard's name of the object.
        slots: attributes in slots.
        codes: attributes in classifications.
        author: classification scheme of authors, or ``None``.
        identifiers: attributes in external identifiers.
        limited_metadata: classification node that marks limited metadata.
    """

    kind: str
    slots: tuple[Place, ...]
    codes: tuple[Place, ...]
    author: str | None
    identifiers: tuple[Place, ...]
    limited_metadata: str


DOCUMENT_ENTRY = Layout(
    kind="DocumentEntry",
    slots=(
        Place("creationTime", "creation_time", "creationTime"),
        Place("hash", "hash", "hash"),
        Place("languageCode", "language_code", "languageCode"),
        Place("legalAuthenticator", "legal_authenticator", "legalAuthenticator"),
        Place("repositoryUniqueId", "repository_unique_id", "repositoryUniqueId"),
        Place("serviceStartTime", "service_start_time", "serviceStartTime"),
        Place("serviceStopTime", "service_stop_time", "serviceStopTime"),
        Place("size", "size", "size"),
        Place("sourcePatientId", "source_patient_id", "sourcePatientId"),
        Place("sourcePatientInfo", "source_patient_info", "sourcePatientInfo", many=True),
        Place("URI", "uri", "URI", many=True),
        Place("documentAvailability", "document_availability", "documentAvailability"),
        Place("urn:ihe:iti:xds:2013:referenceIdList", "reference_id_list", "referenceIdList", many=True),
    ),
    codes=(
        Place("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "class_code", "classCode"),
        Place(
            "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
            "confidentiality_codes",
            "confidentialityCode",
            many=True,
        ),
        Place("urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4", "event_code_list", "eventCodeList", many=True),
        Place("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "format_code", "formatCode"),
        Place(
            "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
            "healthcare_facility_type_code",
            "healthcareFacilityTypeCode",
        ),
        Place("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "practice_setting_code", "practiceSettingCode"),
        Place("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "type_code", "typeCode"),
    ),
    author="urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d",
    identifiers=(
        Place("urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab", "unique_id", "uniqueId"),
        Place("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "patient_id", "patientId"),
    ),
    limited_metadata="urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85",
)

SUBMISSION_SET = Layout(
    kind="SubmissionSet",
    slots=(
        Place("submissionTime", "submission_time", "submissionTime"),
        Place("intendedRecipient", "intended_recipients", "intendedRecipient", many=True),
    ),
    codes=(Place("urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", "content_type_code", "contentTypeCode"),),
    author="urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d",
    identifiers=(
        Place("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", "unique_id", "uniqueId"),
        Place("urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", "source_id", "sourceId"),
        Place("urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", "patient_id", "patientId"),
    ),
    limited_metadata="urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707",
)

FOLDER = Layout(
    kind="Folder",
    slots=(Place("lastUpdateTime", "last_update_time", "lastUpdateTime"),),
    codes=(Place("urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5", "codes", "codeList", many=True),),
    author=None,
    identifiers=(
        Place("urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a", "unique_id", "uniqueId"),
        Place("urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", "patient_id", "patientId"),
    ),
    limited_metadata="urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03",
)

AUTHOR_SLOTS = (
    Place("authorPerson", "person", "authorPerson"),
    Place("authorInstitution", "institutions", "authorInstitution", many=True),
    Place("authorRole", "roles", "authorRole", many=True),
    Place("authorSpecialty", "specialties", "authorSpecialty", many=True),
    Place("authorTelecommunication", "telecommunications", "authorTelecommunication", many=True),
)
