"""Wavemill in containers on one machine; docker-compose.yml is in the root of the checkout."""
