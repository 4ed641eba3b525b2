"""What the demo says: numbered steps, the commands as a person would type them, and what they answered."""

import os
import shlex
import sys
import time


class Narration:
    def __init__(self, output=sys.stdout):
        self.output = output
        self.coloured = output.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.started = time.monotonic()
        self.steps = 0
        self.step_text = "starting"

    def title(self, text):
        self._say(self._paint("1", text))

    def step(self, text):
        self.steps += 1
        self.step_text = text
        self._say("")
        self._say(f"{self._paint('1;36', f'{self.steps:>2}')}  {self._paint('1', text)}")

    def command(self, words, prefix=""):
        self._say(f"    {self._paint('32', '$')} {prefix}{shlex.join(map(str, words))}")

    def output_line(self, line):
        self._say(f"      {self._paint('2', line)}" if line.strip() else "")

    def note(self, text):
        self._say(f"    {text}")

    def done(self, text):
        self._say(f"    {self._paint('32', '✓')} {text}")

    def success(self, text):
        self._say("")
        self._say(f"{self._paint('1;32', '✓')} {self._paint('1', text)} ({self.seconds():.0f} s)")

    def failure(self, message):
        self._say("")
        self._say(f"{self._paint('1;31', '✗')} step {self.steps} “{self.step_text}” failed: {message}")

    def seconds(self):
        return time.monotonic() - self.started

    def _paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured else text

    def _say(self, text):
        try:
            print(text, file=self.output, flush=True)
        except UnicodeEncodeError:
            encoding = self.output.encoding or "ascii"
            print(text.encode(encoding, "replace").decode(encoding), file=self.output, flush=True)
