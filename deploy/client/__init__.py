"""The typed Python client, which is generated from docs/openapi.json."""
