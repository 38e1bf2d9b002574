"""How Wavemill is run: on one machine without Docker, and on many."""
