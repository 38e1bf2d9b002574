"""What Kubernetes is told, and what of it comes from other files."""
