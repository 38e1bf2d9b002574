"""One machine, no Docker, no root: `make run` and `make demo`, and the real servers that the tests use."""
