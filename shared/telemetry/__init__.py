"""What the services say of themselves: logs, traces, metrics."""
