"""Requests by class of the status that the client got."""

from collections import Counter


class Report:
    def __init__(self):
        self.classes = Counter()

    def add(self, request):
        self.classes["none" if request.status is None else f"{request.status // 100}xx"] += 1

    def result(self):
        return dict(sorted(self.classes.items()))
