"""Runs jobs: Celery prefork over Redis. services.worker.audio is the engine, and knows no job."""
