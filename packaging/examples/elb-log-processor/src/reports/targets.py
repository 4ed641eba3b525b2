"""The targets that answered, the one with the slowest answer first."""

SHOWN = 5


class Report:
    def __init__(self):
        self.targets = {}

    def add(self, request):
        if request.target is None or request.latency is None:
            return
        requests, slowest = self.targets.get(request.target, (0, 0.0))
        self.targets[request.target] = (requests + 1, max(slowest, request.latency))

    def result(self):
        slowest_first = sorted(self.targets.items(), key=lambda item: (-item[1][1], item[0]))
        return [
            {"target": target, "requests": requests, "slowest": round(slowest, 6)}
            for target, (requests, slowest) in slowest_first[:SHOWN]
        ]
