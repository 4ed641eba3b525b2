"""The function as Lambda calls it, built as it is packed."""

import contextlib
import gzip
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

EXAMPLE = Path(__file__).resolve().parent.parent
SAMPLE = json.loads((EXAMPLE / "events" / "requests.json").read_text(encoding="utf-8"))


def build(*arguments):
    """Run the build as a person does; answers the folder, which lives as long as the test run."""
    folder = Path(tempfile.mkdtemp(prefix="elb-log-processor-", dir=SCRATCH.name)) / "staged"
    command = [sys.executable, str(EXAMPLE / "build.py"), "--output", str(folder), *arguments]
    subprocess.run(command, check=True)
    return folder


def setUpModule():
    global SCRATCH, STAGED, function
    SCRATCH = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(SCRATCH.cleanup)
    STAGED = build("--version", "2.3.4")
    sys.path.insert(0, str(STAGED / "src" / "function"))
    unittest.addModuleCleanup(sys.path.remove, str(STAGED / "src" / "function"))
    function = importlib.import_module("function")


class Summary(unittest.TestCase):
    def test_of_the_sample_event(self):
        summary = function.handler(SAMPLE, None)
        self.assertEqual(summary["version"], "2.3.4")
        self.assertEqual((summary["requests"], summary["unreadable"]), (13, 0))
        self.assertEqual(summary["statuses"], {"1xx": 1, "2xx": 6, "3xx": 1, "4xx": 2, "5xx": 2, "none": 1})
        self.assertEqual(
            summary["paths"],
            [
                {"path": "/orders", "requests": 3},
                {"path": "/products", "requests": 3},
                {"path": "/", "requests": 2},
                {"path": "/health", "requests": 1},
                {"path": "/live", "requests": 1},
            ],
        )
        self.assertEqual(summary["latency"], {"p50": 0.009, "p90": 0.234, "p99": 1.875})
        self.assertEqual(summary["traffic"], {"received_bytes": 4871, "sent_bytes": 45493})
        self.assertEqual(
            summary["browsers"],
            {
                "Chrome": 3,
                "Firefox": 2,
                "Mobile Safari": 2,
                "unknown": 3,
                "Edge": 1,
                "Safari": 1,
                "curl": 1,
            },
        )
        self.assertEqual(summary["targets"][0], {"target": "10.0.1.17:8080", "requests": 4, "slowest": 1.875})

    def test_is_json_and_holds_for_no_requests(self):
        summary = json.loads(json.dumps(function.handler({"lines": []}, None)))
        self.assertEqual(summary["requests"], 0)
        self.assertEqual(summary["latency"], {"p50": None, "p90": None, "p99": None})

    def test_counts_and_shows_a_line_that_it_cannot_read(self):
        with contextlib.redirect_stdout(io.StringIO()) as log:
            summary = function.handler({"lines": ["not a log line", "", *SAMPLE["lines"]]}, None)
        self.assertEqual((summary["requests"], summary["unreadable"]), (13, 1))
        self.assertIn("unreadable line: 4 fields", log.getvalue())

    def test_another_event_is_refused(self):
        with self.assertRaisesRegex(ValueError, "expected `lines` or the `Records`"):
            function.handler({"rows": []}, None)


class S3Event(unittest.TestCase):
    def event(self, key):
        return {"Records": [{"s3": {"bucket": {"name": "logs"}, "object": {"key": key}}}]}

    def test_a_compressed_log_of_an_application_load_balancer(self):
        text = "\n".join(SAMPLE["lines"]).encode()
        with mock.patch.object(function, "open_object", return_value=io.BytesIO(gzip.compress(text))) as opened:
            summary = function.handler(self.event("shop+front/a%3Db.log.gz"), None)
        opened.assert_called_once_with("logs", "shop front/a=b.log.gz")
        self.assertEqual(summary["requests"], 13)

    def test_a_plain_log_of_a_classic_load_balancer(self):
        body = mock.Mock(iter_lines=lambda: iter([SAMPLE["lines"][10].encode(), b""]))
        with mock.patch.object(function, "open_object", return_value=body):
            self.assertEqual(function.handler(self.event("classic.log"), None)["requests"], 1)


class Build(unittest.TestCase):
    def test_function_and_notes_are_apart(self):
        self.assertEqual(sorted(os.listdir(STAGED)), ["README.md", "src"])
        self.assertEqual(os.listdir(STAGED / "src"), ["function"])
        for name in ("function.py", "access_log.py", "VERSION", "ua_parser/__init__.py"):
            self.assertTrue((STAGED / "src" / "function" / name).is_file(), name)

    def test_two_builds_are_the_same(self):
        again = build("--version", "2.3.4")
        self.assertEqual(contents(again), contents(STAGED))

    def test_a_report_can_be_left_out(self):
        staged = build("--version", "2.3.3", "--without", "targets")
        script = "import function, json; print(json.dumps(function.handler({'lines': []}, None)))"
        answer = subprocess.run(
            [sys.executable, "-B", "-c", script], cwd=staged / "src" / "function", check=True, capture_output=True
        )
        summary = json.loads(answer.stdout)
        self.assertEqual(summary["version"], "2.3.3")
        self.assertNotIn("targets", summary)
        self.assertIn("paths", summary)

    def test_a_report_that_does_not_exist_is_refused(self):
        folder = Path(SCRATCH.name) / "refused"
        command = [sys.executable, str(EXAMPLE / "build.py"), "--version", "1", "--output", str(folder)]
        answer = subprocess.run([*command, "--without", "weather"], capture_output=True, text=True, check=False)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("there is no report 'weather'", answer.stderr)
        self.assertFalse(folder.exists())


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    unittest.main()
