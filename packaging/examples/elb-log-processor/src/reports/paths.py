"""The paths asked for most often."""

from collections import Counter

SHOWN = 5


class Report:
    def __init__(self):
        self.paths = Counter()

    def add(self, request):
        if request.path is not None:
            self.paths[request.path] += 1

    def result(self):
        most_first = sorted(self.paths.items(), key=lambda item: (-item[1], item[0]))
        return [{"path": path, "requests": requests} for path, requests in most_first[:SHOWN]]
