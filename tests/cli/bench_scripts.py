#!/usr/bin/env python3
"""bench/intervals.py against published tables, and bench/regress on programs whose speed is known.

usage: bench_scripts.py LEAN_TRAIN BENCH_FOLDER [TestCase.test ...]
"""
import json, math, os, random, statistics, subprocess, sys, unittest

BENCH = os.path.abspath(sys.argv.pop(2))
sys.path.insert(0, BENCH)
import intervals

from case import PROGRAM, Case, environment

# A stand-in for the program: steps of SECONDS, give or take NOISE, slowed by what goes on beside it, which a wave over all calls plays.
STAND_IN = """#!{python}
import json, math, os, random, sys
count = {counter!r}
calls = os.path.getsize(count) if os.path.exists(count) else 0
open(count, "a").write(".")
draw = random.Random(({seed}, calls).__repr__())
wave = 1 + {wave} * math.sin(calls / 30)
print(json.dumps({{"median_step_seconds": {seconds} * wave * math.exp(draw.gauss(0, {noise}))}}))
"""


class Intervals(unittest.TestCase):
    def test_critical_values_of_signed_ranks(self):
        # Two-sided, as every table of Wilcoxon's signed ranks has them: the greatest sum that is significant.
        for n, five, one in [(8, 3, 0), (10, 8, 3), (12, 13, 7), (20, 52, 37)]:
            counts = intervals.signed_rank_counts(n)
            self.assertEqual(sum(counts), 2 ** n)
            self.assertEqual((intervals.first_inside(counts, 0.95) - 1, intervals.first_inside(counts, 0.99) - 1), (five, one))

    def test_critical_values_of_rank_sums(self):
        for m, n, five in [(3, 10, 3), (5, 5, 2), (8, 10, 17), (10, 10, 23)]:
            counts = intervals.rank_sum_counts(m, n)
            self.assertEqual(sum(counts), math.comb(m + n, m))
            self.assertEqual(intervals.first_inside(counts, 0.95) - 1, five)

    def test_an_interval_covers_as_often_as_it_says(self):
        draw = random.Random(1)
        covered = sum(lower <= 3 <= upper for _, lower, upper in
                      (intervals.paired([3 + draw.expovariate(1) - draw.expovariate(1) for _ in range(10)], 0.9) for _ in range(2000)))
        self.assertGreater(covered, 1800 - 4 * math.sqrt(2000 * 0.1 * 0.9))
        self.assertLess(covered, 1900)

    def test_shifts_are_found(self):
        old = [1.0, 1.1, 0.9, 1.05, 0.95, 1.2]
        estimate, lower, upper = intervals.unpaired([value + 2 for value in old], old, 0.95)
        self.assertAlmostEqual(estimate, 2)
        self.assertTrue(lower < 2 < upper)
        self.assertEqual(intervals.paired([2.0] * 8, 0.99), (2, 2, 2))

    def test_too_few(self):
        with self.assertRaisesRegex(ValueError, "too few"): intervals.paired([1, 2, 3], 0.95)
        with self.assertRaisesRegex(ValueError, "too few"): intervals.unpaired([1, 2], [1, 2], 0.95)
        self.assertEqual(intervals.least_rounds(0.99), 8)
        intervals.paired(list(range(8)), 0.99)


class Regress(Case):
    def stand_in(self, name, seconds, noise=0.01, seed=1, wave=0.2):
        path = self.path(name)
        with open(path, "w") as file: file.write(STAND_IN.format(python=sys.executable, counter=self.path("calls"), seconds=seconds, noise=noise, seed=seed, wave=wave))
        os.chmod(path, 0o755)
        return path

    def regress(self, *arguments):
        return subprocess.run([sys.executable, os.path.join(BENCH, "regress"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment())

    def verdict(self, code, *arguments):
        done = self.regress(*arguments, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def test_slower(self):
        found = self.verdict(1, self.stand_in("new", 0.0105), self.stand_in("old", 0.0100, seed=2), "--model", "cnn-same")
        self.assertEqual((found["verdict"], found["model"]), ("slower", "cnn-same"))
        self.assertTrue(found["lower"] < 0.05 < found["upper"], found)
        self.assertLess(found["upper"] - found["lower"], 0.06)

    def test_faster(self):
        found = self.verdict(0, self.stand_in("new", 0.009), self.stand_in("old", 0.010, seed=2), "--model", "nn")
        self.assertEqual(found["verdict"], "faster")

    def test_the_same_program_is_noise(self):
        self.assertEqual(self.verdict(0, self.stand_in("new", 0.01), self.stand_in("old", 0.01, seed=2), "--model", "nn")["verdict"], "noise")

    def test_what_is_sure_but_small_is_noise(self):
        found = self.verdict(0, self.stand_in("new", 0.01005, noise=1e-4, wave=0), self.stand_in("old", 0.01, noise=1e-4, seed=2, wave=0), "--model", "nn")
        self.assertEqual(found["verdict"], "noise", found)
        self.assertGreater(found["lower"], 0)

    def test_one_slower_model_of_several_is_told(self):
        done = self.regress(self.stand_in("new", 0.02), self.stand_in("old", 0.01), "--model", "nn", "--model", "imdb")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([line.split(": ")[:2] for line in done.stdout.splitlines()], [["nn", "slower"], ["imdb", "slower"]])

    def test_against_a_result_of_this_build(self):
        kept = self.path("before.json")
        with open(kept, "w") as file:
            subprocess.run([PROGRAM, "bench", "mnist/linear", "-r", "4", "--seconds", "0.05", "-o", "json"], check=True, stdout=file, stderr=subprocess.DEVNULL,
                           env=environment())
        with open(kept) as file: before = json.load(file)
        options = ["--rounds", "4", "--seconds", "0.05", "--confidence", "0.9", "--json"]

        def altered(name, change):
            for repetition in before["rows"][0]["repetitions"]: repetition["median_step_seconds"] *= change
            with open(self.path(name), "w") as file: json.dump(before, file)
            return self.path(name)

        # Whatever the machine does meanwhile: steps of a hundredth and of a hundred times their length.
        self.assertEqual(self.verdict(1, PROGRAM, "--result", altered("short.json", 0.01), *options)["verdict"], "slower")
        self.assertEqual(self.verdict(0, PROGRAM, "--result", altered("long.json", 1e4), *options)["verdict"], "faster")
        before["machine"]["cpu"] = "another"
        done = self.regress(PROGRAM, "--result", altered("foreign.json", 1), *options)
        self.assertEqual(done.returncode, 2)
        self.assertIn("times of two machines", done.stderr)

    def test_what_is_refused(self):
        new = self.stand_in("new", 0.01)
        for words, *arguments in [("one of the two", new), ("8 at least", new, new, "--rounds", "7"), ("--confidence", new, new, "--confidence", "1"),
                                  ("cannot be used", new, "--result", self.path("none.json")), ("/bin/false: ended with 1", "/bin/false", new, "--model", "nn")]:
            done = self.regress(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(words, done.stderr.strip().splitlines()[-1])


if __name__ == "__main__":
    unittest.main(verbosity=1)
