#!/usr/bin/env python3
"""lean-train bench ops: its records, its table, what it refuses.

usage: bench.py LEAN_TRAIN [TestCase.test ...]
"""
import json, unittest

from case import Case, run


class BenchOps(Case):
    def test_records(self):
        done = self.ok(run("bench", "ops", "--model", "mnist/linear,mnist/nn", "--kernels", "highway", "--rounds", "2", "--threads", "2",
                           "-o", "json"))
        machine, *ops = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((machine["type"], machine["threads"]), ("machine", 2))
        self.assertGreater(machine["peak_flops_per_second"], 0)
        self.assertEqual([(op["model"], op["op"], op["layer"]) for op in ops],
                         [("mnist/linear", i, name) for i, name in enumerate(["input", "fc", "loss", "fc", "sgd"])] +
                         [("mnist/nn", i, name) for i, name in enumerate(["input", "fc1", "fc2", "loss", "fc2", "fc1", "adam"])])
        for op in ops:
            self.assertIsNone(op["share_of_peak_now"], op)  # of products alone: it would come between a step's operations
            self.assertLess(op["error"], 1e-5, op)
            self.assertLessEqual(0 < op["least_seconds"] and op["least_seconds"], op["median_seconds"], op)
            self.assertIn("highway", op["kernel"])
        forward, backward = ops[6], ops[10]
        self.assertEqual((forward["shape"], forward["operation"]), ("500 x 784 -> 128", "linear + relu"))
        # The first layer's way back has no gradient for its input: as much to do as the way there.
        for op in (forward, backward):
            self.assertAlmostEqual(op["flops_per_second"] * op["median_seconds"] / (2 * 500 * 784 * 128), 1, 6)

    def test_words(self):
        """Words in; an embedding whose update is part of its own operations is compared without it."""
        done = self.ok(run("bench", "ops", "--model", "imdb", "--kernels", "highway", "--rounds", "1", "-o", "json"))
        ops = [json.loads(line) for line in done.stdout.splitlines()][1:]
        self.assertEqual([op["layer"] for op in ops],
                         ["input", "embedding", "rnn.l0", "fc", "loss", "fc", "rnn.l0", "embedding", "adam"])
        self.assertIn("embedding_backward + update_adam", [op["operation"] for op in ops])
        for op in ops: self.assertLess(op["error"], 1e-5, op)
        self.assertGreater(ops[2]["flops_per_second"], 0)

    def test_sequences(self):
        """Numbers in. The reference would take minutes."""
        done = self.ok(run("bench", "ops", "--model", "rnn/gru-1x320", "--kernels", "highway", "--rounds", "1", "--no-check", "-o", "json"))
        ops = [json.loads(line) for line in done.stdout.splitlines()][1:]
        self.assertEqual([op["layer"] for op in ops], ["input", "rnn.l0", "fc", "loss", "fc", "rnn.l0", "adam"])
        for op in ops: self.assertIsNone(op["error"], op)

    def test_table(self):
        lines = self.ok(run("bench", "ops", "--model", "mnist/linear", "--rounds", "1", "--no-check", "--kernels", "highway")).stdout.splitlines()
        self.assertRegex(lines[0], r"^fp32, \d+ threads; at most \d+ GFLOP/s")
        rows = [line for line in lines if "linear_backward" in line]
        self.assertEqual(len(rows), 1)
        self.assertRegex(rows[0], r"500 x 784 -> 10 +highway +\d+\.\d+ +\d+\.\d +\d+\.\d% +- +- +highway linear backward")

    def test_matrix_products(self):
        done = self.ok(run("bench", "ops", "--model", "gemm", "--rounds", "1", "--threads", "2", "-o", "json"))
        rows = [json.loads(line) for line in done.stdout.splitlines()][1:]
        self.assertEqual([row["operation"] for row in rows[:4]], ["A B", "A^T B", "A B^T", "A^T B^T"])
        self.assertIn("A B, B packed", [row["operation"] for row in rows])
        for row in rows:
            self.assertEqual((row["model"], row["kernels"]), ("gemm", "highway"))
            self.assertGreater(row["error"], 0, row)
            self.assertLess(row["error"], 1e-6, row)
            self.assertGreater(row["share_of_peak_now"], 0, row)

    def test_recurrent_layers(self):
        done = self.ok(run("bench", "ops", "--model", "recurrent", "--rounds", "1", "--threads", "2", "-o", "json"))
        rows = [json.loads(line) for line in done.stdout.splitlines()][1:]
        self.assertEqual([row["operation"] for row in rows[:2]], ["recurrent", "recurrent_backward"])
        self.assertEqual([row["op"] for row in rows], list(range(len(rows))))
        for row in rows:
            self.assertEqual((row["model"], row["kernels"]), ("recurrent", "highway"))
            self.assertGreater(row["share_of_peak_now"], 0, row)

    def test_what_is_refused(self):
        self.refused(2, ["--model", "mnist/linear", "'alexnet'"], "bench", "ops", "--model", "mnist/linear,alexnet")
        self.refused(2, ["--kernels", "highway, onednn, auto", "'mkl'"], "bench", "ops", "--kernels", "mkl")
        self.refused(2, ["--rounds"], "bench", "ops", "--rounds", "0")
        self.refused(2, ["--precision", "fp32 or bf16", "'tf32'"], "bench", "ops", "--precision", "tf32")
        self.refused(2, ["gemm", "fp32"], "bench", "ops", "--precision", "bf16", "--model", "gemm")
        self.refused(2, ["table or json", "'html'"], "bench", "ops", "-o", "html")


if __name__ == "__main__":
    unittest.main(verbosity=1)
