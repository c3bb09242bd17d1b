"""Tests in a real browser. A package, so that what lives as long as its tests ends with them (`scope="package"`)."""
