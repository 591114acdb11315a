#!/usr/bin/env python3
"""lean-train bench: what it prints in each form, held against its schema; combinations that there are not; what it refuses.

usage: bench_models.py LEAN_TRAIN SCHEMA [TestCase.test ...]

Needs jsonschema (Debian: python3-jsonschema).
"""
import copy, csv, io, json, statistics, sys, unittest

import jsonschema

with open(sys.argv.pop(2)) as file: SCHEMA = json.load(file)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

from case import Case, run

PEAK = ["--steps", "3", "--warm-up", "1", "-r", "2", "--threads", "2"]
QUICK = [*PEAK, "--no-peak"]
# Multiplications and additions of a step, two each: bench/models.py says how PyTorch's are counted.
CONVOLUTION = 2 * 64 * (2 * 28 * 28 * 32 * 25 + 3 * 14 * 14 * 64 * 32 * 25 + 3 * 3136 * 1024 + 3 * 1024 * 10)
INSIDE = [sum(0 <= y + k - 2 < size for y in range(size) for k in range(5)) ** 2 for size in (28, 14)]
REAL_CONVOLUTION = 2 * 64 * (2 * 32 * INSIDE[0] + 3 * 64 * 32 * INSIDE[1] + 3 * 3136 * 1024 + 3 * 1024 * 10)
GRU = 2 * 25 * (1000 * 3 * 320 * (2 * 123 + 3 * 320) + 3 * 320 * 25)


class BenchModels(Case):
    def bench(self, *arguments):
        return self.ok(run("bench", *arguments)).stdout

    def test_json_is_as_its_schema_says(self):
        found = json.loads(self.bench("mnist/linear", "mnist", "--precision", "fp32,bf16", "--published", *PEAK, "-o", "json"))
        VALIDATOR.validate(found)
        self.assertEqual([(row["model"], row["precision"]) for row in found["rows"]],
                         [("mnist/linear", "fp32"), ("mnist/linear", "bf16"), ("mnist/cnn-same", "fp32"), ("mnist/cnn-same", "bf16")])
        for row in found["rows"]:
            samples = [seconds for repetition in row["repetitions"] for seconds in repetition["step_seconds"]]
            self.assertEqual(len(samples), 6)
            self.assertAlmostEqual(row["median_step_seconds"], statistics.median(samples))
            self.assertAlmostEqual(row["mean_step_seconds"], statistics.mean(samples))
            self.assertAlmostEqual(row["deviation_step_seconds"], statistics.stdev(samples))
            self.assertEqual(row["p95_step_seconds"], max(samples))
            self.assertAlmostEqual(row["samples_per_second"] * row["median_step_seconds"] / row["batch"], 1)
            self.assertGreater(row["first_step_seconds"], row["repetitions"][0]["step_seconds"][0] / 100)
            self.assertEqual(row["quiet"], row["noise"] is None)
        digits = found["rows"][2]
        self.assertEqual((digits["nominal_operations"], digits["real_operations"]), (CONVOLUTION, REAL_CONVOLUTION))
        peak = max(found["machine"]["peaks_before_and_after"][0]["fp32_flops_per_second"])
        self.assertAlmostEqual(digits["nominal_share_of_peak"] * peak * digits["median_step_seconds"] / CONVOLUTION, 1)
        self.assertIn({"model": "mnist/cnn-same", "program": "PyTorch", "hardware": "GTX 1080 Ti"},
                      [{key: figure[key] for key in ("model", "program", "hardware")} for figure in found["published"]])

    def test_the_schema_tells(self):
        whole = json.loads(self.bench("mnist/linear", "--device", "cpu,cuda:99", *QUICK, "-o", "json"))
        VALIDATOR.validate(whole)
        breaches = [lambda found: found.pop("machine"), lambda found: found["rows"][0].pop("median_step_seconds"),
                    lambda found: found["rows"][0].update(samples_per_second="many"), lambda found: found["rows"][1].pop("reason"),
                    lambda found: found["rows"][1].update(status="skipped"), lambda found: found["rows"][0].update(surprise=1),
                    lambda found: found["rows"][0]["repetitions"][0].update(step_seconds=[]), lambda found: found["rows"].clear()]
        for breach in breaches:
            broken = copy.deepcopy(whole)
            breach(broken)
            self.assertFalse(VALIDATOR.is_valid(broken))

    def test_lines_of_json(self):
        head, *rows = [json.loads(line) for line in self.bench("mnist/linear", "--batch", "64,256", "--published", *QUICK, "-o", "jsonl").splitlines()]
        self.assertEqual([(row["type"], row["batch"]) for row in rows], [("row", 64), ("row", 256)])
        VALIDATOR.validate({**head, "rows": [{key: value for key, value in row.items() if key != "type"} for row in rows], "published": []})

    def test_recurrent_layers_and_their_arithmetic(self):
        rows = json.loads(self.bench("rnn/gru-1x320", "--steps", "1", "--warm-up", "1", "-r", "1", "--no-peak", "-o", "json"))["rows"]
        self.assertEqual((rows[0]["nominal_operations"], rows[0]["real_operations"]), (GRU, GRU))
        self.assertEqual(rows[0]["repetitions"][0]["timed_steps"], 1)

    def test_what_there_is_not_is_a_row_that_says_why(self):
        rows = json.loads(self.bench("mnist/linear", "--device", "cpu,reference,cuda:99", "--precision", "fp32,tf32", *QUICK, "-o", "json"))["rows"]
        self.assertEqual([row["status"] for row in rows], ["measured", "unavailable", "measured", "unavailable", "unavailable", "unavailable"])
        for row in rows:
            if row["status"] == "unavailable": self.assertGreater(len(row["reason"]), 10)
        self.assertIn("tf32", rows[1]["reason"])
        self.assertEqual(rows[2]["device"], "reference")

    def test_table_and_markdown(self):
        for form in ("table", "md"):
            text = self.bench("mnist/linear", "--device", "cpu,cuda:99", *PEAK, "--published", "-o", form)
            self.assertRegex(text, r"Peak of 2 threads: \d+ GFLOP/s in fp32")
            row = next(line for line in text.splitlines() if line.lstrip("| ").startswith("mnist/linear"))
            self.assertRegex(row, r"mnist/linear[ |]+cpu[ |]+highway [A-Za-z0-9-]+[ |]+fp32[ |]+2[ |]+\d+[ |]+\d+\.\d{3}[ |]")
            self.assertIn("unavailable: ", text)
        table = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual({line.count("|") for line in table}, {18})
        self.assertTrue(set(table[1]) <= set("|- "), table[1])
        self.assertIn("| GTX 1080 Ti | PyTorch |", self.bench("mnist", "--published", *QUICK, "-o", "md").replace("DyNet, minibatch", ""))

    def test_without_the_peak(self):
        found = json.loads(self.bench("mnist/linear", *QUICK, "-o", "json"))
        VALIDATOR.validate(found)
        self.assertEqual(found["machine"]["peaks_before_and_after"], [])
        self.assertEqual((found["rows"][0]["nominal_share_of_peak"], found["rows"][0]["real_share_of_peak"]), (None, None))

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.bench("mnist/linear", "--device", "cpu,cuda:99", *QUICK, "-o", "csv"))))
        self.assertEqual([row["status"] for row in rows], ["measured", "unavailable"])
        self.assertGreater(float(rows[0]["median_step_seconds"]), 0)
        self.assertEqual((rows[0]["timed_steps"], rows[1]["median_step_seconds"]), ("6", ""))
        self.assertTrue(rows[1]["note"])

    def test_nothing_measured(self):
        done = run("bench", "mnist/linear", "--device", "cuda:99", "-r", "1", "--no-peak", "-o", "json")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(json.loads(done.stdout)["rows"][0]["status"], "unavailable")
        self.assertIn("nothing could be measured: ", done.stderr)

    def test_every_model(self):
        """Where none is named the quickest come first; each, on one sample a step, has its row as the schema says."""
        names = [row["model"] for row in json.loads(run("bench", "--within", "0.5", "--no-peak", "-r", "1", "-o", "json").stdout)["rows"]]
        self.assertEqual((len(set(names)), names[0], names[-1]), (len(names), "mnist/cnn-same", "rnn/bilstm-4x320-ctc"))
        self.assertLess(names.index("cifar10"), names.index("resnet50"))
        for name in names:
            found = json.loads(self.bench(name, "--batch", "1", "--steps", "1", "--warm-up", "1", "-r", "1", "--threads", "1", "--no-peak", "-o", "json"))
            VALIDATOR.validate(found)
            self.assertEqual([(row["model"], row["status"], row["batch"]) for row in found["rows"]], [(name, "measured", 1)])

    def test_no_time(self):
        done = run("bench", "mnist/linear", "mnist/nn", "--within", "0.5", "--no-peak", "-r", "1", "-o", "json")  # too little to start anything
        self.assertEqual(done.returncode, 2, done.stderr)
        found = json.loads(done.stdout)
        VALIDATOR.validate(found)
        self.assertEqual([row["status"] for row in found["rows"]], ["left out"] * 2)
        self.assertIn("left out, for they do not fit into the time: mnist/linear, mnist/nn", done.stderr)

    def test_time_enough(self):
        self.bench("mnist/linear", "--within", "100000", *QUICK)

    def test_data_that_cannot_be_read(self):
        done = run("bench", "mnist/linear", "--data", self.folder, "-r", "1", "--no-peak", "-o", "csv")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(self.folder, done.stdout)

    def test_what_is_refused(self):
        self.refused(2, ["mnist/cnn-same", "'alexnet'"], "bench", "mnist", "alexnet")
        self.refused(2, ["models"], "bench", "")
        self.refused(2, ["--batch", "whole numbers", "'64,'"], "bench", "mnist", "--batch", "64,")
        self.refused(2, ["--threads", "'0'"], "bench", "mnist", "--threads", "0")
        self.refused(2, ["--device", "'cpu,,cuda'"], "bench", "mnist", "--device", "cpu,,cuda")
        self.refused(2, ["--device", "'gpu'"], "bench", "mnist", "--device", "gpu")
        self.refused(2, ["--precision", "'fp32,fp32'"], "bench", "mnist", "--precision", "fp32,fp32")
        self.refused(2, ["--kernels", "'mkl'"], "bench", "mnist", "--kernels", "mkl")
        self.refused(2, ["table, md, csv, json, jsonl", "'xml'"], "bench", "mnist", "-o", "xml")
        self.refused(2, ["--repetitions", "'0'"], "bench", "mnist", "-r", "0")
        self.refused(2, ["--seconds", "'-1'"], "bench", "mnist", "--seconds=-1")
        self.refused(2, ["--within", "'0'"], "bench", "mnist", "--within", "0")


if __name__ == "__main__":
    unittest.main(verbosity=1)
