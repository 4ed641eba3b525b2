"""Requests by family of browser."""

from collections import Counter

import ua_parser


class Report:
    def __init__(self):
        self.families = Counter()

    def add(self, request):
        found = ua_parser.parse_user_agent(request.user_agent) if request.user_agent else None
        self.families[found.family if found else "unknown"] += 1

    def result(self):
        return dict(sorted(self.families.items(), key=lambda item: (-item[1], item[0])))
