"""Bytes received from clients and sent to them."""


class Report:
    def __init__(self):
        self.received = self.sent = 0

    def add(self, request):
        self.received += request.received_bytes
        self.sent += request.sent_bytes

    def result(self):
        return {"received_bytes": self.received, "sent_bytes": self.sent}
