"""The routes, a module for each thing that has an address."""
