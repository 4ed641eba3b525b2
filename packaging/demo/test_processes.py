"""What the demo promises about processes: nothing that it started stays behind."""

import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from processes import Daemon, Failed, bearers_of, run, session_members

# Starts a child, says so, and leaves it alone in the session.
LEAVES_A_CHILD = "sleep 600 & echo started"


class Daemons(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def daemon(self, script, environment=None):
        log = self.folder / "log"
        daemon = Daemon("it", ["sh", "-c", script], environment or dict(os.environ), self.folder, log)
        self.addCleanup(daemon.end, 0)
        return daemon

    def test_a_child_that_outlives_its_parent_is_ended(self):
        daemon = self.daemon(LEAVES_A_CHILD)
        daemon.process.wait()
        self.assertEqual(len(session_members(daemon.pid)), 1)
        self.assertEqual(daemon.end(0), [])
        self.assertEqual(session_members(daemon.pid), [])

    def test_one_that_ignores_the_request_to_stop_is_ended(self):
        daemon = self.daemon("trap '' TERM; echo ready; while :; do sleep 600; done")
        daemon.wait_for("being ready", lambda: "ready" in daemon.log.read_text(), 10)
        self.assertEqual(daemon.end(0), [])
        self.assertEqual(daemon.process.returncode, -signal.SIGKILL)

    def test_the_exit_code_of_an_orderly_stop_is_told(self):
        daemon = self.daemon("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
        daemon.wait_for("being ready", lambda: "ready" in daemon.log.read_text(), 10)
        self.assertEqual(daemon.stop(10), 7)

    def test_waiting_ends_when_the_program_does(self):
        daemon = self.daemon("echo no good; exit 3")
        with self.assertRaisesRegex(Failed, "it ended by itself with exit code 3") as failure:
            daemon.wait_for("a wonder", lambda: None, 60)
        self.assertEqual(failure.exception.log, daemon.log)

    @unittest.skipUnless(os.path.isdir("/proc/self"), "the settings of other processes are read from /proc")
    def test_one_that_left_the_session_is_known_by_its_settings(self):
        daemon = self.daemon("exec sleep 600", dict(os.environ) | {"DEMO_TEST_MARK": str(self.folder)})
        daemon.wait_for("being known", lambda: bearers_of(f"DEMO_TEST_MARK={self.folder}") == [daemon.pid], 10)

    def test_a_command_does_not_wait_for_what_a_dead_daemon_will_never_do(self):
        daemon = self.daemon("exit 4")
        with self.assertRaisesRegex(Failed, "it ended by itself with exit code 4"):
            run(["sleep", "600"], dict(os.environ), self.folder, 60, lambda line: None, [daemon])


class Commands(unittest.TestCase):
    def test_lines_and_exit_code_are_handed_over(self):
        seen = []
        script = [sys.executable, "-c", "print('a'); print('b'); raise SystemExit(5)"]
        self.assertEqual(run(script, dict(os.environ), "/", 60, seen.append), (5, "a\nb\n"))
        self.assertEqual(seen, ["a", "b"])

    def test_one_that_takes_too_long_is_ended(self):
        with self.assertRaisesRegex(Failed, "`sleep 600` took over 0.1 s"):
            run(["sleep", "600"], dict(os.environ), "/", 0.1, lambda line: None)


if __name__ == "__main__":
    unittest.main()
