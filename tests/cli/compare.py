#!/usr/bin/env python3
"""lean-train compare: kernel families agree, a broken kernel does not; its table, its JSON, its log, what it refuses.

usage: compare.py LEAN_TRAIN LEAN_TRAIN_WITH_A_BROKEN_KERNEL [TestCase.test ...]
"""
import json, os, subprocess, sys, unittest

from case import PATIENCE_SECONDS, PROGRAM, Case, environment, run

BROKEN = os.path.abspath(sys.argv.pop(1))
ONEDNN = subprocess.run([PROGRAM, "mnist", "--device", "cpu", "--kernels", "onednn", "--plan"], capture_output=True, env=environment()).returncode == 0
RECIPE = """
name = "small"
data = "synthetic-digits"
[input]
shape = [1, 28, 28]
[training]
batch = 16
epochs = 1
optimizer = "sgd"
lr = 0.01
[[layer]]
type = "linear"
name = "fc"
out_features = 10
"""


class Compare(Case):
    def compared(self, *arguments, code=0):
        done = run("compare", *arguments, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_kernel_families_agree(self):
        """Over 20 steps, in fp32, within 2e-4: of oneDNN where it is installed, and of the least instruction set."""
        about = self.compared("mnist", "--kernels", "highway,onednn" if ONEDNN else "highway,highway:baseline")
        base, other = about["sides"]
        self.assertEqual((about["model"], about["steps"], about["base"], about["agrees"]), ("mnist/cnn-same", 20, "highway", True))
        self.assertEqual([len(side["losses"]) for side in (base, other)], [20, 20])
        self.assertEqual(other["bound"], {"loss": 2e-4, "weights": 2e-4, "first_update": 1e-3, "steps": 20, "for": "fp32"})
        for side in (base, other):
            for seconds in side["step_seconds"]: self.assertGreater(seconds, 0)
        for a, b, difference in zip(base["losses"], other["losses"], other["loss_differences"]):
            self.assertAlmostEqual(difference, abs(b - a) / a, delta=1e-12)
            self.assertLess(difference, 2e-4)
        self.assertEqual([apart["step"] for apart in other["weights"]], [0, 1, 5, 10, 15, 20])
        self.assertEqual(other["weights"][0]["distance"], 0)  # both begin with the same weights
        self.assertLess(0, other["weights"][-1]["distance"])  # and do not compute with the same code
        self.assertLess(other["weights"][-1]["distance"], 2e-4)
        self.assertLess(other["first_update_distance"], 1e-3)
        self.assertEqual(other["first_update_distance"], other["weights"][1]["distance_of_move"])
        self.assertAlmostEqual(other["times_as_fast"], base["median_step_seconds"] / other["median_step_seconds"])

    def test_models_of_every_kind(self):
        for what, steps in (("cifar10", 2), ("imdb", 2), ("mnist/linear", 2)):
            about = self.compared(what, "--kernels", "highway,highway:baseline", "--steps", str(steps), "--batch", "8")
            self.assertEqual((about["model"], about["batch"], about["agrees"]), (what, 8, True))
        about = self.compared("rnn", "--kernels", "highway,highway:baseline", "--steps", "1")
        self.assertEqual((about["model"], about["batch"], about["agrees"]), ("rnn/lstm-1x320", 25, True))

    def test_masks_and_batches_are_the_same(self):
        """Dropout and the order of samples follow the seed, not the device."""
        small = ("mnist", "--device", "reference,cpu", "--steps", "3", "--batch", "4")
        first, second = self.compared(*small), self.compared(*small, "--seed", "2")
        self.assertTrue(first["agrees"] and second["agrees"])
        self.assertNotEqual(first["sides"][0]["losses"], second["sides"][0]["losses"])
        self.assertNotEqual(first["sides"][0]["losses"], self.compared(*small, "--no-dropout")["sides"][0]["losses"])

    def test_threads_give_the_same_bits(self):
        if len(os.sched_getaffinity(0)) < 2: self.skipTest("one processor")
        about = self.compared("mnist", "--threads", "1,2", "--kernels", "highway", "--steps", "3", "--bound", "0")
        self.assertEqual([side["name"] for side in about["sides"]], ["1 thread", "2 threads"])
        for side in about["sides"][1:]:
            self.assertEqual((side["largest_loss_difference"], side["largest_weights_distance"], side["bound"]["for"]), (0, 0, "--bound"))
            self.assertIn("to the last bit", side["verdict"])

    def test_precisions_have_a_wider_bound(self):
        about = self.compared("mnist", "--precision", "fp32,bf16", "--steps", "5")
        self.assertEqual((about["sides"][1]["bound"]["loss"], about["sides"][1]["bound"]["for"]), (2e-2, "bf16"))
        self.assertGreater(about["sides"][1]["largest_loss_difference"], 0)
        # Rounding to 8 bits is far beyond a bound that is meant for fp32.
        done = run("compare", "mnist", "--precision", "fp32,bf16", "--steps", "5", "--bound", "1e-9")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertRegex(done.stderr, r"\Alean-train: bf16 differs from fp32: the loss of step 1 is \S+ away, expected 1e-09 at most: the way forward differs \(--bound\)\n\Z")

    def test_lists_are_multiplied(self):
        about = self.compared("mnist/linear", "--devices", "cpu,reference", "--precision", "fp32,bf16", "--steps", "1", "--batch", "16")
        self.assertEqual([side["name"] for side in about["sides"]], ["cpu fp32", "cpu bf16", "reference fp32", "reference bf16"])
        self.assertEqual([side["precision"] for side in about["sides"]], 2 * ["fp32", "bf16"])

    def test_recipes_of_ones_own(self):
        with open(self.path("mine.toml"), "w") as recipe: recipe.write(RECIPE)
        about = self.compared(self.path("mine.toml"), "--device", "reference,cpu", "--steps", "7")
        self.assertEqual((about["model"], about["batch"], about["data"]), ("small", 16, "synthetic"))
        self.assertEqual([apart["step"] for apart in about["sides"][1]["weights"]], [0, 1, 5, 7])

    def test_weights_are_where_all_begin(self):
        saved = self.path("w.safetensors")
        self.ok(run("mnist", "--model", "linear", "--batch", "500", "--epochs", "2", "--save", saved))
        begun = self.compared("mnist/linear", "--batch", "500", "--device", "cpu,reference", "--steps", "1", "--weights", saved)
        fresh = self.compared("mnist/linear", "--batch", "500", "--device", "cpu,reference", "--steps", "1")
        self.assertLess(begun["sides"][0]["losses"][0], fresh["sides"][0]["losses"][0])

    def test_table(self):
        done = self.ok(run("compare", "mnist/linear", "--device", "cpu,reference", "--steps", "12", "--batch", "50"))
        self.assertEqual(done.stderr, "")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "mnist/linear on synthetic, batch 50, seed 1, 12 steps")
        self.assertRegex(lines[2], r"^side +device +kernels +precision +threads +median step, ms +samples/s +times as fast +arena$")
        self.assertRegex(lines[3], r"^cpu +cpu +highway .* fp32 +\d+ +\S+ +\d+ +1\.00 +\S+ [KM]iB$")
        self.assertEqual(lines[6].split("  ")[0], "step")
        self.assertEqual([line.split()[0] for line in lines[7:11]], ["1", "5", "10", "12"])
        self.assertRegex(lines[-1], r"^reference agrees with cpu over 12 steps: losses part by \S+ at most \(step \d+\), weights by \S+ \(step \d+\), the first update by \S+ of it; bounds 2e-04, 2e-04 and 1e-03 \(fp32\)$")

    def test_bound_is_of_the_first_steps(self):
        """Rounding grows with the steps: those past the twentieth are shown, and no longer judged."""
        done = self.ok(run("compare", "mnist/linear", "--device", "cpu,reference", "--steps", "25", "--batch", "20"))
        self.assertIn("\n  25  ", done.stdout)
        self.assertIn("over 20 steps", done.stdout)

    def test_log(self):
        log = self.path("both.jsonl")
        about = self.compared("mnist/linear", "--device", "cpu,reference", "--steps", "6", "--batch", "50", "--log", log)
        records = self.records("both.jsonl")
        self.assertEqual([record["type"] for record in records], 2 * (["run"] + 6 * ["step"] + ["end"]))
        self.assertEqual([(r["command"], r["model"], r["side"], r.get("compared_with")) for r in records if r["type"] == "run"],
                         [("mnist", "linear", "cpu", None), ("mnist", "linear", "reference", "cpu")])
        steps = [record for record in records if record["type"] == "step"]
        self.assertEqual([step["loss"] for step in steps[:6]], about["sides"][0]["losses"])
        self.assertEqual([step["loss_difference"] for step in steps[6:]], about["sides"][1]["loss_differences"])
        self.assertEqual([step["step"] for step in steps[6:] if "weights_distance" in step], [1, 5, 6])
        self.assertNotIn("loss_difference", steps[0])
        self.assertEqual([record["status"] for record in records if record["type"] == "end"], ["ok", "ok"])

    def test_a_broken_kernel_is_seen(self):
        for what, more, words in (("mnist/linear", ("--batch", "4"), "the loss of step 1 is .* at most: the way forward differs"),
                                  ("mnist/linear", ("--batch", "500"), "the weights after step 1 are .* away, fc.bias the farthest, expected 2e-04 at most"),
                                  ("mnist", (), "the first update of the weights is .* the farthest, expected 1e-03 at most"),
                                  ("imdb", ("--batch", "8"), "the loss of step 1|the first update of the weights")):
            with self.subTest(what=what, more=more):
                log = self.path("broken.jsonl")
                line = ["compare", what, "--device", "reference,cpu", "--steps", "2", *more]
                self.ok(run(*line))
                done = subprocess.run([BROKEN, *line, "--log", log], capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment())
                self.assertEqual(done.returncode, 6, done.stderr)
                self.assertRegex(done.stderr, rf"\Alean-train: cpu differs from reference: ({words}).*\(fp32\)\n\Z")
                self.assertIn("cpu differs from reference", done.stdout)
                ends = [record for record in self.records("broken.jsonl") if record["type"] == "end"]
                self.assertEqual([(end["status"], end["exit_code"]) for end in ends], [("ok", 0), ("numeric", 6)])
                self.assertIn("differs from reference", ends[1]["error"])

    def test_nothing_but_results_when_piped(self):
        done = self.ok(run("compare", "mnist/linear", "--threads", "1,2", "--steps", "1", "--batch", "9", "--quiet"))
        self.assertEqual(done.stderr, "")
        self.assertNotIn("\r", done.stdout)

    def test_what_is_refused(self):
        two = ("--threads", "1,2")
        self.refused(2, ["WHAT"], "compare", *two)
        self.refused(2, ["unknown model 'mnits'", "did you mean mnist", "cifar10"], "compare", "mnits", *two)
        self.refused(2, ["nothing.toml"], "compare", self.path("nothing.toml"), *two)
        for one in ((), ("--device", "cpu"), ("--device", "cpu", "--kernels", "highway", "--threads", "1")):
            self.refused(2, ["two sides", "--device cpu,cuda"], "compare", "mnist", *one)
        self.refused(2, ["--device", "once", "'cpu,cpu'"], "compare", "mnist", "--device", "cpu,cpu")
        for option, value, wrong in (("--device", "cpu,gpu", "'gpu'"), ("--devices", "cpu,", "''"), ("--device", "", "--device"), ("--kernels", "highway,mkl", "'mkl'"),
                                     ("--precision", "fp32,fp64", "'fp64'"), ("--threads", "1,0", "'0'"), ("--threads", "1,,2", "''"),
                                     ("--steps", "0", "'0'"), ("--bound", "-1", "'-1'"), ("--bound", "nan", "'nan'"), ("-o", "csv", "'csv'")):
            with self.subTest(option=option, value=value):
                self.refused(2, [wrong], "compare", "mnist", f"{option}={value}" if value.startswith("-") and option != "-o" else option, *([] if value.startswith("-") and option != "-o" else [value]))
        self.refused(2, ["resnet50", "inference alone", "bench"], "compare", "resnet50", "--precision", "fp32,bf16")
        self.refused(2, ["sse9"], "compare", "mnist", "--kernels", "highway,highway:sse9")
        self.refused(3, ["/nonexistent"], "compare", "mnist", *two, "--data", "/nonexistent")
        self.refused(7, ["nothing.safetensors"], "compare", "mnist", *two, "--weights", self.path("nothing.safetensors"))
        self.refused(8, ["/nonexistent"], "compare", "mnist", *two, "--log", "/nonexistent/log")
        self.refused(5, [], "compare", "mnist", *two, "--memory", "100kB")

    def test_what_cannot_compute_says_why(self):
        self.refused(4, ["cuda:77"], "compare", "mnist", "--device", "cpu,cuda:77", "--steps", "1")
        cuda = next(d for d in map(json.loads, run("devices", "--json").stdout.splitlines()) if d["name"] == "cuda")
        if not cuda["usable"]: self.refused(4, [cuda["why_not"]], "compare", "mnist", "--device", "cpu,cuda")
        done = run("compare", "mnist", "--kernels", "highway,cudnn")  # a word of GPUs
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--kernels cudnn", done.stderr)
        self.assertEqual(run("compare", "mnist", "--precision", "fp32,tf32").returncode, 4)

    def test_a_loss_that_is_not_finite(self):
        done = run("compare", "mnist/nn", "--threads", "1,2", "--lr", "1e30", "--batch", "50")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertTrue(done.stderr.startswith("lean-train: 1 thread: "), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
