"""Three Orthanc servers as the archives of three sites, for demonstration and tests: made, filled, started, stopped."""
