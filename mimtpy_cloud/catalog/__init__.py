"""Find and publish products: index, search, ingest, Intake driver."""
