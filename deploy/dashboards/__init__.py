"""Grafana's dashboards, written as Python: `python -m deploy.dashboards` writes deploy/grafana/dashboards/*.json."""
