"""Load generators, each run as a process of its own (`python -m benchmarks.load`)."""
