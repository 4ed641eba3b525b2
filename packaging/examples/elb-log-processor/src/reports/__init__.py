"""The parts of the summary. Each module has a `Report` with `add(request)` and `result()`, and holds no requests:
a log of a busy load balancer does not fit into the memory of a small function."""
