#!/usr/bin/env python3
"""lean-train resnet50 as its users meet it: the file of features, the records, and what is refused.

usage: features.py LEAN_TRAIN
"""
import json, os, signal, subprocess, time, unittest

from case import PROGRAM, Case, environment, run
from feature_files import distance, npy, safetensors


class Features(Case):
    def test_features_of_pictures(self):
        out = self.path("features.npy")
        done = self.ok(run("resnet50", "--batch", "2", "--steps", "2", "--out", out, "--log", self.path("run.jsonl"), "--json"))
        self.assertIn("weights: random, from seed 1", done.stderr)
        shape, rows = npy(out)
        self.assertEqual(shape, (4, 2048))
        self.assertTrue(all(value >= 0 for row in rows for value in row))
        self.assertGreater(distance(rows[0], rows[1]), 1e-4)
        kinds = [record["type"] for record in self.records()]
        self.assertEqual(kinds, ["run", "step", "step", "end"])
        first, last = self.records()[0], self.records()[-1]
        self.assertEqual((first["command"], first["parameters"], first["batch"]), ("resnet50", 23508032, 2))
        self.assertEqual((last["status"], last["steps"], last["images"]), ("ok", 2, 4))
        self.assertGreater(last["images_per_second"], 0)
        self.assertEqual(json.loads(done.stdout), last)
        # The same pictures, one by one: other kernels, the same numbers but for rounding; and in bfloat16.
        self.ok(run("resnet50", "--batch", "1", "--steps", "2", "--out", out))
        for one, many in zip(npy(out)[1], rows): self.assertLess(distance(one, many), 1e-5)
        self.ok(run("resnet50", "--batch", "2", "--steps", "1", "--precision", "bf16", "--out", out))
        for narrow, row in zip(npy(out)[1], rows): self.assertLess(distance(narrow, row), 2e-2)

    def test_threads_change_no_bit(self):
        files = [self.path("one.npy"), self.path("two.npy")]
        for threads, path in zip("12", files):
            if threads == "2" and len(os.sched_getaffinity(0)) < 2: self.skipTest("one CPU")
            self.ok(run("resnet50", "--batch", "9", "--steps", "1", "--threads", threads, "--out", path))
        with open(files[0], "rb") as one, open(files[1], "rb") as two: self.assertEqual(one.read(), two.read())

    def test_plan_keeps_no_gradients(self):
        plan = json.loads(self.ok(run("resnet50", "--batch", "1", "--plan", "--json")).stdout)
        self.assertFalse([tensor["name"] for tensor in plan["tensors"] if "gradient" in tensor["name"]])
        self.assertLess(plan["arena_bytes"], 120e6)

    def test_foreign_weights_are_refused_and_nothing_is_written(self):
        weights, out = self.path("weights.safetensors"), self.path("features.npy")
        safetensors(weights, [("fc.weight", [2, 2])])
        self.refused(7, [weights, 'has no tensor "conv1.weight" of model resnet50'], "resnet50", "--batch", "1", "--weights", weights, "--out", out)
        safetensors(weights, [("conv1.weight", [64, 3, 5, 5])])
        self.refused(7, ['tensor "conv1.weight"', "64 x 3 x 7 x 7"], "resnet50", "--batch", "1", "--weights", weights, "--out", out)
        self.assertEqual(os.listdir(self.folder), ["weights.safetensors"])

    def test_refusals(self):
        self.refused(8, ["--out", "cannot be used"], "resnet50", "--batch", "1", "--out", self.path("nowhere/features.npy"))
        self.refused(2, ["model resnet50 is for inference alone"], "train", self.recipe(), "--steps", "1")
        self.refused(3, ["nowhere: cannot be listed"], "resnet50", "--batch", "1", "--images", self.path("nowhere"))

    def recipe(self):
        path = self.path("r.toml")
        with open(path, "w") as file: file.write(self.ok(run("resnet50", "--batch", "1", "--print-recipe")).stdout)
        return path

    def has_a_step(self):
        if not os.path.exists(self.path("run.jsonl")): return False
        with open(self.path("run.jsonl")) as log: return '"type":"step"' in log.read()

    def test_a_stop_leaves_no_file(self): self.stop_when(self.has_a_step)

    def test_a_stop_as_the_file_is_made_leaves_none(self):
        if "SIGNAL_ON_CREATE" not in os.environ: self.skipTest("not preloaded beside a sanitizer")
        done = run("resnet50", "--batch", "1", "--steps", "3", "--out", self.path("features.npy"), "--log", self.path("run.jsonl"),
                   env=environment(LD_PRELOAD=os.environ["SIGNAL_ON_CREATE"]))
        self.assertIn("stopped by SIGINT after 0 of 3 pictures; --out was not written", done.stderr)
        self.stopped_without_a_file(done.returncode)

    def stop_when(self, it_is_time):
        out = self.path("features.npy")
        process = subprocess.Popen([PROGRAM, "resnet50", "--batch", "1", "--steps", "100000", "--out", out, "--log", self.path("run.jsonl")],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        while not it_is_time():
            self.assertIsNone(process.poll(), "it ended too early")
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        self.assertIn("--out was not written", process.communicate(timeout=120)[1])
        self.stopped_without_a_file(process.returncode)

    def stopped_without_a_file(self, code):
        self.assertEqual(code, 130)
        self.assertEqual(os.listdir(self.folder), ["run.jsonl"])
        self.assertEqual(self.records()[-1]["status"], "stopped")


unittest.main()
