"""Percentiles of the time to answer, in seconds, by the nearest rank."""

from array import array

PERCENTILES = (50, 90, 99)


class Report:
    def __init__(self):
        self.seconds = array("d")

    def add(self, request):
        if request.latency is not None:
            self.seconds.append(request.latency)

    def result(self):
        ordered = sorted(self.seconds)
        return {f"p{percent}": nearest_rank(ordered, percent) for percent in PERCENTILES}


def nearest_rank(ordered, percent):
    """The smallest value that at least `percent` per cent of all values do not exceed."""
    if not ordered:
        return None
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1], 6)
