"""Pydantic models of everything that crosses a service's border."""
