"""One line of an Elastic Load Balancing access log as a request.

Two formats exist. An Application Load Balancer writes the type of the connection first and up to 34 fields; a
Classic Load Balancer starts with the time and writes 12 (before 2014) or 15. AWS adds fields at the end only, so
fewer fields than listed and more fields than listed are both read.
"""

import re
from typing import NamedTuple

CLASSIC_FIELDS = (
    "time",
    "elb",
    "client",
    "target",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
)

APPLICATION_FIELDS = (
    "type",
    *CLASSIC_FIELDS,
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target_port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
    "node_address",
)

CONNECTION_TYPES = frozenset({"http", "https", "h2", "grpcs", "ws", "wss"})
FIELDS_UP_TO_THE_REQUEST = CLASSIC_FIELDS.index("request") + 1

FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"]\S*)')
ESCAPE = re.compile(rb'\\x([0-9A-Fa-f]{2})|\\(["\\])')
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)")


class UnreadableLine(ValueError):
    """The line is in neither of the two formats."""


class Request(NamedTuple):
    """What the reports need of a request. `None` stands for the `-` of the log, and for a time of -1."""

    fields: dict[str, str | None]
    status: int | None
    method: str | None
    path: str | None
    target: str | None
    user_agent: str | None
    latency: float | None
    received_bytes: int
    sent_bytes: int


def parse(line: str) -> Request:
    values = split(line)
    names = APPLICATION_FIELDS if values and values[0] in CONNECTION_TYPES else CLASSIC_FIELDS
    if len(values) < FIELDS_UP_TO_THE_REQUEST:
        raise UnreadableLine(f"{len(values)} fields, expected at least {FIELDS_UP_TO_THE_REQUEST}")
    fields = dict(zip(names, values))
    if not TIME.match(fields["time"] or ""):
        raise UnreadableLine(f"field `time` is {fields['time']!r}, expected an ISO 8601 time")

    method, path = split_request(fields.get("request"))
    return Request(
        fields=fields,
        status=number(fields, "elb_status_code", int),
        method=method,
        path=path,
        target=fields["target"],
        user_agent=fields.get("user_agent"),
        latency=latency(fields),
        received_bytes=number(fields, "received_bytes", int) or 0,
        sent_bytes=number(fields, "sent_bytes", int) or 0,
    )


def split(line: str) -> list[str | None]:
    """The fields of a line: separated by spaces, quoted when they may hold one."""
    values: list[str | None] = []
    position = 0
    line = line.strip()
    while position < len(line):
        found = FIELD.match(line, position)
        if found is None:
            raise UnreadableLine(f"field {len(values) + 1} opens a quote that is not closed")
        quoted, plain = found.groups()
        value = unescape(quoted) if quoted is not None else plain
        values.append(None if value in ("-", "") else value)
        position = found.end()
        while position < len(line) and line[position].isspace():
            position += 1
    return values


def unescape(text: str) -> str:
    r"""Undo `\"`, `\\` and `\xHH`. Any other backslash is one that the client itself sent."""
    if "\\" not in text:
        return text
    octets = ESCAPE.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        text.encode("utf-8", "surrogateescape"),
    )
    return octets.decode("utf-8", "replace")


def split_request(request: str | None) -> tuple[str | None, str | None]:
    """Method and path of `GET https://example.com:443/a/b?c HTTP/1.1`.

    A TCP listener writes `- - - `, and a request that could not be read `- http://example.com:80- `: both are
    requests without a path.
    """
    method, _, rest = (request or "").partition(" ")
    url = URL.match(rest.rpartition(" ")[0])
    if url is None or method in ("", "-"):
        return None, None
    return method, url[1] or "/"


def latency(fields: dict[str, str | None]) -> float | None:
    """Seconds from the request's arrival to the start of the answer; `None` when no target answered."""
    parts = [
        number(fields, name, float)
        for name in ("request_processing_time", "target_processing_time", "response_processing_time")
    ]
    if any(part is None or part < 0 for part in parts):
        return None
    return sum(parts)


def number(fields, name, kind):
    value = fields.get(name)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        raise UnreadableLine(f"field `{name}` is {value!r}, expected a number") from None
