"""The sites' archives, as this service asks them over DICOMweb."""
