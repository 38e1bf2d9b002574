"""The contract between the services: schema, store, broker, blobs, events, settings, telemetry."""
