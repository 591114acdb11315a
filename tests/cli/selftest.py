#!/usr/bin/env python3
"""lean-train selftest: a sound program passes, one with a broken kernel does not.

usage: selftest.py LEAN_TRAIN LEAN_TRAIN_WITH_A_BROKEN_KERNEL [TestCase.test ...]
"""
import os, subprocess, sys, unittest

import case
from case import Case, environment, run

case.PATIENCE_SECONDS = 280  # seconds of work where nothing else runs
BROKEN = os.path.abspath(sys.argv.pop(1))


class SelfTest(Case):
    def broken(self, *arguments):
        return subprocess.run([BROKEN, *arguments], capture_output=True, text=True, timeout=case.PATIENCE_SECONDS, env=environment())

    def test_passes(self):
        text = self.ok(run("selftest", "--device", "cpu", "--precision", "fp32")).stdout
        self.assertRegex(text, r"\Alean-train \d+\.\d+\.\d+ \(")
        for kind in ("conv2d", "conv2d_backward", "linear", "linear_backward", "softmax_cross_entropy", "update_adam"):
            self.assertRegex(text, rf"(?m)^  {kind} +\d+ cases  worst error \d\.\de[-+]\d\d  ok$")
        self.assertRegex(text, r"\nok: [\d,]+ cases agree with the reference device \(.*\)\n\Z")

    def test_sees_a_broken_kernel(self):
        done = self.broken("selftest", "--device", "cpu", "--precision", "fp32")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^  linear +\d+ cases .* FAILED: \d+$")
        self.assertRegex(done.stdout, r"(?m)^      .*linear_.*: y has .*the farthest off is")
        self.assertRegex(done.stdout, r"(?m)^  conv2d +\d+ cases .* ok$")
        self.assertRegex(done.stdout, r"\nFAILED: [\d,]+ of [\d,]+ cases differ .* please report it")

    def test_bytes(self):
        text = self.ok(run("selftest", "--device", "cpu", "--precision", "int8")).stdout
        for kind in ("input", "conv2d", "average_pool"):
            self.assertRegex(text, rf"(?m)^  {kind} +\d+ cases  worst error 0\.0e\+00  ok$")
        self.assertNotIn("linear", text)
        done = self.broken("selftest", "--device", "cpu", "--precision", "int8")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^  conv2d +(\d+) cases .* FAILED: \1$")
        self.assertRegex(done.stdout, r"(?m)^      conv2d_.*: y has .*the farthest off is 0: ")
        self.assertRegex(done.stdout, r"(?m)^  average_pool +\d+ cases .* ok$")

    def test_what_is_refused(self):
        self.refused(2, ["--device", "'gpu'"], "selftest", "--device", "gpu")
        self.refused(2, ["--precision", "'fp64'"], "selftest", "--precision", "fp64")
        self.refused(2, ["--threads"], "selftest", "--threads", "0")


if __name__ == "__main__":
    unittest.main(verbosity=1)
