"""The worker's metrics: counted by its children, added up and served by their parent.

Each child writes to files of its own, which the parent reads at a scrape (prometheus_client's multiprocess mode). The
files go by the child's slot, not by its process id: a child that takes the place of another goes on with its files.
So nothing that a dead child has counted is lost, and there are never more files than children at a time.
"""
