"""The audio engine: a source and a list of operations in, results and files out, from one decode.

It knows no job, no store and no Celery. `engine.process` is the way in.
"""
