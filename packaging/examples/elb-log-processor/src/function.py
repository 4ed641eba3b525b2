"""The Lambda function: reads load balancer access logs and answers a summary of the requests in them.

It takes `{"lines": ["…", …]}`, or the event that S3 sends when a load balancer has stored a log.
"""

import gzip
import importlib
import pkgutil
from pathlib import Path
from urllib.parse import unquote_plus

import access_log
import reports

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()

# Every module in `reports` is one part of the summary: what was packed is what is reported.
REPORTS = sorted(module.name for module in pkgutil.iter_modules(reports.__path__))


def handler(event, _context):
    return summarise(lines_of(event))


def lines_of(event):
    if "lines" in event:
        yield from event["lines"]
        return
    if "Records" not in event:
        raise ValueError(f"the event holds {sorted(event)}, expected `lines` or the `Records` of an S3 event")
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = unquote_plus(record["s3"]["object"]["key"])
        body = open_object(bucket, key)
        # Application Load Balancers compress their logs, Classic Load Balancers do not.
        for line in gzip.GzipFile(fileobj=body) if key.endswith(".gz") else body.iter_lines():
            yield line.decode("utf-8", "surrogateescape")


def open_object(bucket, key):
    import boto3  # part of the Lambda runtime; an event that carries its lines does not need it

    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"]


def summarise(lines):
    parts = {name: importlib.import_module(f"reports.{name}").Report() for name in REPORTS}
    requests = unreadable = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            request = access_log.parse(line)
        except access_log.UnreadableLine as problem:
            unreadable += 1
            print(f"unreadable line: {problem}: {line[:200]!r}")
            continue
        requests += 1
        for part in parts.values():
            part.add(request)
    return {
        "version": VERSION,
        "requests": requests,
        "unreadable": unreadable,
        **{name: part.result() for name, part in parts.items()},
    }
