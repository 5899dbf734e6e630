"""FHIR R4 over HTTP: formats, operation outcomes, error codes."""
