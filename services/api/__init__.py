"""The HTTP API: accepts jobs, serves their results and their live events."""
