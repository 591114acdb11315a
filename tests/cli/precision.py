#!/usr/bin/env python3
"""The program in bf16, on the CPU and on the reference device.

usage: precision.py LEAN_TRAIN [TestCase.test ...]
"""
import json, unittest

from case import Case, numbers, run


class Bf16(Case):
    def train(self, device, precision, weights):
        done = self.ok(run("mnist", "--model", "linear", "--device", device, "--precision", precision, "--epochs", "2", "--log",
                           self.path("run.jsonl"), "--save", weights))
        self.assertIn(f"precision: {precision}", done.stderr)
        return [record["test_loss"] for record in self.records() if "test_loss" in record][-1]

    def test_trains_near_fp32(self):
        weights = self.path("weights.safetensors")
        for device in ("cpu", "reference"):
            with self.subTest(device=device):
                fp32, bf16 = (self.train(device, precision, weights) for precision in ("fp32", "bf16"))
                self.assertNotEqual(bf16, fp32)
                self.assertLess(abs(bf16 - fp32), 0.01 * fp32)
                self.is_full_width(weights)

    # What is saved are the masters: floats, some of which have digits that bfloat16 has not.
    def is_full_width(self, weights):
        with open(weights, "rb") as file: content = file.read()
        begin = 8 + int.from_bytes(content[:8], "little")
        for name, tensor in json.loads(content[8:begin]).items():
            if name == "__metadata__": continue
            self.assertEqual(tensor["dtype"], "F32")
            first, end = (begin + offset for offset in tensor["data_offsets"])
            self.assertTrue(any(content[first:end:4]), name)

    def test_saved_weights_start_a_training(self):
        a, b = self.path("a.safetensors"), self.path("b.safetensors")
        narrow = ("mnist", "--model", "linear", "--precision", "bf16", "--device", "cpu")
        self.ok(run(*narrow, "--steps", "2", "--save", a))
        self.ok(run(*narrow, "--steps", "1", "--weights", a, "--lr", "0", "--save", b))
        self.assertEqual(numbers(a), numbers(b))

    def test_plan(self):
        narrow = ("mnist", "--precision", "bf16", "--device", "cpu", "--plan")
        self.assertIn("conv2.weight.copy", self.ok(run(*narrow)).stdout)
        kernels = self.ok(run(*narrow, "--kernels", "highway")).stdout
        self.assertRegex(kernels, r"highway conv2d winograd [^,\n]+, bf16|highway conv2d [^,\n]+, bf16")

    def test_what_is_refused(self):
        for command in (("mnist", "--device", "cpu"), ("bench", "ops")):
            self.refused(4, ["--kernels onednn", "fp32 alone", "highway"], *command, "--precision", "bf16", "--kernels", "onednn")
        self.refused(4, ["does not compute in tf32"], "mnist", "--device", "cpu", "--precision", "tf32")

    def test_bench_ops(self):
        done = self.ok(run("bench", "ops", "--model", "mnist/nn", "--precision", "bf16", "--rounds", "1", "-o", "json"))
        machine, *ops = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(machine["precision"], "bf16")
        self.assertEqual([op["kernels"] for op in ops], ["highway", "auto"] * 7)
        for op in ops:
            if op["error"] is not None: self.assertLess(op["error"], 4e-3, op)


if __name__ == "__main__":
    unittest.main(verbosity=1)
