"""The monitor: shows in Prometheus's format how the jobs fare, and puts right what got lost."""
