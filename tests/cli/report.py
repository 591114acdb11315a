#!/usr/bin/env python3
"""lean-train report: one page that needs nothing else, pictures as files, logs that are cut, broken or somebody else's.

usage: report.py LEAN_TRAIN [TestCase.test ...]
"""
import base64, html.parser, json, os, re, struct, unittest, zlib
import xml.etree.ElementTree as xml

from case import Case, run

VOID = {"meta", "br", "img", "link", "hr", "input"}
SVG = "{http://www.w3.org/2000/svg}"


class Page(html.parser.HTMLParser):
    """Tags that open and close in order, ids, attributes, and the text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.attributes, self.words = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID: self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words += data


def record(kind, **fields): return json.dumps({"type": kind, **fields})


def made_up_log(**changes):
    """The lines of a log with every kind of record that a report reads."""
    start = dict(schema=1, command="mnist", model="cnn-same", device="cpu", device_name="a processor", kernels="highway", precision="fp32",
                 threads=2, seed=1, batch=64, data="mnist", arena_bytes=4096)
    lines = [record("run", **{**start, **changes})]
    lines += [record("op", op=i, layer=f"layer{i}", operation="linear", kernel="k", scratch_bytes=512 * i) for i in range(3)]
    lines += [record("plan", tensor="w", offset=0, bytes=1024, first_op=0, last_op=2, segment="parameters"),
              record("plan", tensor="y", offset=1024, bytes=2048, first_op=1, last_op=2, segment="activations"),
              record("plan", tensor="scratch", offset=3072, bytes=1024, first_op=0, last_op=2, segment="scratch")]
    for epoch in (1, 2):
        lines += [record("step", step=10 * epoch + i, loss=2 / (10 * epoch + i), seconds=0.004) for i in range(10)]
        lines += [record("epoch", epoch=epoch, steps=10, train_loss=1 / epoch, train_accuracy=0.5, test_loss=0.9 / epoch, test_accuracy=0.6,
                         seconds=0.04, samples_per_second=16000)]
    lines += [record("mistakes", index=7, label=3, predicted=5, loss=4.5, probability=0.9, channels=1, height=2, width=3,
                     pixels=base64.b64encode(bytes(range(6))).decode())]
    return lines + [record("end", status="ok", exit_code=0, seconds=1.5, median_step_seconds=0.004, best_test_accuracy=0.6,
                           peak_anonymous_bytes=None)]


class Report(Case):
    def log(self, lines, name="run.jsonl", end="\n"):
        with open(self.path(name), "w") as log: log.write("\n".join(lines) + end)
        return self.path(name)

    def page(self, *logs):
        out = self.path("report.html")
        done = self.ok(run("report", *logs, "-o", out))
        with open(out, encoding="utf-8") as page: text = page.read()
        return Page(text), text, done

    def test_of_a_training(self):
        log = self.path("run.jsonl")
        self.ok(run("mnist", "--model", "linear", "--batch", "500", "--epochs", "3", "--log", log, "--log-every", "1", "--device", "cpu"))
        page, text, done = self.page(log)
        self.assertEqual(done.stderr, "")
        for title in ("Loss", "Accuracy", "Loss of each step", "Time of a step", "Samples a second: mnist/linear", "Memory of mnist/linear",
                      "Most wrong: run", "Settings"):
            self.assertIn(title, page.words)
        self.assertIn("fc.weight", page.words)
        self.assertGreaterEqual(page.tags.count("image"), 1)
        for epoch in [record for record in self.records() if record["type"] == "epoch"]:
            self.assertIn(f"{epoch['test_loss']:.4g}", page.words)
            self.assertIn(f"{100 * epoch['test_accuracy']:.2f} %", page.words)

    def test_nothing_from_elsewhere(self):
        page, text, _ = self.page(self.log(made_up_log()))
        self.assertNotIn("script", page.tags)
        self.assertNotIn("http", re.sub(r"http-equiv", "", text))
        self.assertTrue(all(value.startswith("data:image/png;base64,") for name, value in page.attributes if name in ("href", "src")))
        self.assertFalse([name for name, _ in page.attributes if name.startswith("on")])
        self.assertEqual(len(page.ids), len(set(page.ids)))
        for _, value in (pair for pair in page.attributes if pair[0] == "aria-labelledby"):
            self.assertTrue(set(value.split()) <= set(page.ids), value)

    def test_published_figures_stand_beside(self):
        page, _, _ = self.page(self.log(made_up_log()))
        for words in ("PyTorch, GTX 1080 Ti, published", "4.13 s an epoch", "GTX 1080 Ti", "16,000"): self.assertIn(words, page.words)
        self.assertAlmostEqual(60000 / 4.49, float(re.search(r"PyTorch, GTX 1080 Ti, published\D*([\d,]+)", page.words)[1].replace(",", "")), delta=1)

    def test_what_a_log_says_is_text(self):
        nasty = '<script>alert("1")</script>&amp;\'"\u0001\x7f'
        lines = made_up_log(model=nasty, device_name=nasty, kernels=nasty, data=nasty)
        lines.insert(1, record("op", op=0, layer=nasty, operation=nasty, kernel=nasty, scratch_bytes=0))
        lines.insert(2, record("plan", tensor=nasty, offset=0, bytes=4096, first_op=0, last_op=0, segment="activations"))
        page, text, _ = self.page(self.log(lines, name="<b>&name.jsonl"))
        self.assertNotIn("script", page.tags)
        self.assertNotIn("b", page.tags)
        self.assertIn('<script>alert("1")</script>&amp;', page.words)
        self.assertIn("<b>&name", page.words)
        self.ok(run("report", self.path("<b>&name.jsonl"), "--svg", self.path("pictures")))
        for name in os.listdir(self.path("pictures")): xml.parse(os.path.join(self.path("pictures"), name))

    def test_runs_of_one_name_differ(self):
        os.mkdir(self.path("b"))
        page, _, _ = self.page(self.log(made_up_log()), self.log(made_up_log(precision="bf16"), name="b/run.jsonl"))
        self.assertIn("run (2)", page.words)
        self.assertIn("Settings that differ", page.words)
        self.assertEqual(len(page.ids), len(set(page.ids)))

    def test_sides_of_a_comparison_are_runs(self):
        log = self.path("both.jsonl")
        self.ok(run("compare", "mnist/linear", "--device", "cpu,reference", "--steps", "6", "--batch", "50", "--log", log))
        page, text, done = self.page(log)
        self.assertEqual(done.stderr, "")
        for words in ("2 runs", "How far losses part", "How far weights part", "reference from cpu", "Settings that differ"): self.assertIn(words, page.words)
        self.assertNotIn("taken up again", page.words)
        self.assertNotIn("best test accuracy", page.words)  # a comparison tests nothing
        steps = [record for record in self.records("both.jsonl") if "weights_distance" in record]
        for step in steps: self.assertIn(f"{step['loss_difference']:.4g}"[:4], page.words)
        # A log of one training has no such pictures.
        self.assertNotIn("How far losses part", self.page(self.log(made_up_log()))[0].words)
        # A side that was cut off is one of them all the same.
        with open(log) as whole: lines = whole.read().splitlines()
        page, _, done = self.page(self.log(lines[:-3], name="cut.jsonl"))
        self.assertIn("unfinished", page.words)
        self.assertEqual(done.stderr.count("no end record"), 1)

    def test_pictures_as_files(self):
        self.ok(run("report", self.log(made_up_log()), "--svg", self.path("pictures")))
        names = sorted(os.listdir(self.path("pictures")))
        self.assertEqual(names, ["accuracy.svg", "loss.svg", "memory-run.svg", "mistakes-run.svg", "step-loss.svg", "step-spread.svg",
                                 "step-time.svg", "throughput-mnist-cnn-same.svg"])
        for name in names:
            root = xml.parse(os.path.join(self.path("pictures"), name)).getroot()
            self.assertEqual(root.tag, SVG + "svg")
            self.assertTrue(root.find(SVG + "title").text)
            self.assertIn("prefers-color-scheme", root.find(SVG + "style").text)
        memory = xml.parse(self.path("pictures/memory-run.svg"))
        tips = [rect.find(SVG + "title").text for rect in memory.iter(SVG + "rect") if rect.find(SVG + "title") is not None]
        self.assertIn("y, 2.0 KiB at 1,024, operations 1 to 2", tips)
        self.assertIn("scratch of operation 2, 1.0 KiB", tips)

    def test_mistakes_are_whole_pngs(self):
        page, _, _ = self.page(self.log(made_up_log()))
        data = base64.b64decode(next(value for name, value in page.attributes if name == "href").split(",")[1])
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        chunks, at = {}, 8
        while at < len(data):
            size, = struct.unpack_from(">I", data, at)
            kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
            self.assertEqual(struct.unpack_from(">I", data, at + 8 + size)[0], zlib.crc32(kind + body))
            chunks[kind], at = body, at + 12 + size
        self.assertEqual(struct.unpack(">2I5B", chunks[b"IHDR"]), (3, 2, 8, 0, 0, 0, 0))
        self.assertEqual(zlib.decompress(chunks[b"IDAT"]), b"\0\0\1\2\0\3\4\5")

    def test_killed_in_the_middle_of_a_line(self):
        lines = made_up_log()
        whole = lines.index(next(line for line in lines if '"epoch": 2' in line and '"type": "epoch"' in line))
        page, _, done = self.page(self.log([*lines[:whole], lines[whole][:40]], end=""))
        for words in (f"last line of the log ({whole + 1}) is cut short", "no end record", "unfinished"): self.assertIn(words, page.words)
        self.assertIn("cut short", done.stderr)
        # Nothing but the newline is missing: all is there.
        page, _, done = self.page(self.log(lines, end=""))
        self.assertEqual(done.stderr, "")

    def test_numbers_that_are_missing(self):
        lines = made_up_log()
        lines[10] = record("step", step=10, loss=None, seconds=0.004)
        page, text, _ = self.page(self.log(lines))
        self.assertNotRegex(text, r"(?i)[\" ,]-?nan\b|[\" ,]-?inf\b")
        page, _, _ = self.page(self.log(made_up_log()[:1]))
        self.assertIn("unfinished", page.words)

    def test_features_have_no_loss(self):
        lines = made_up_log(command="resnet50", model="resnet50", data="synthetic", batch=4, optimizer="sgd", train_samples=0)[:7]
        lines += [record("step", step=i, seconds=0.25 if i > 2 else 2.5, images=4) for i in range(1, 8)]
        lines += [record("end", status="ok", exit_code=0, seconds=8, median_step_seconds=0.25, best_test_accuracy=None)]
        page, _, done = self.page(self.log(lines))
        self.assertEqual(done.stderr, "")
        for words in ("Time of each step", "Samples a second: resnet50", "Memory of resnet50"): self.assertIn(words, page.words)
        for words in ("Loss", "Accuracy", "no such numbers", "optimizersgd"): self.assertNotIn(words, page.words.split("Written by")[0])
        # Beside a training it stands where it has numbers, and in no other legend.
        self.ok(run("report", self.log(lines, name="features.jsonl"), self.log(made_up_log(), name="training.jsonl"), "--svg", self.path("both")))
        for picture, words in (("loss", False), ("step-loss", False), ("step-time", True)):
            with open(self.path(f"both/{picture}.svg")) as svg: self.assertEqual(">features<" in svg.read(), words, picture)
        # The first two steps warm up: they are in the curve, and in neither median.
        self.assertRegex(page.words, r"single steps5(250){5}")

    def test_pictures_hold_their_texts(self):
        long = made_up_log(data="cifar10")
        self.ok(run("report", self.log(long, name="a-name-that-is-longer-than-a-picture-is-wide-" * 3 + ".jsonl"), "--svg", self.path("pictures")))
        widths = {c: 0.636 for c in "0123456789"} | {"%": 0.95}  # DejaVu Sans
        for name in os.listdir(self.path("pictures")):
            for text in xml.parse(self.path("pictures/" + name)).iter(SVG + "text"):
                if text.get("text-anchor") == "end":
                    self.assertLessEqual(sum(12 * widths.get(c, 0.55) for c in text.text or ""), float(text.get("x")), (name, text.text))

    def test_what_is_refused(self):
        lines, out = made_up_log(), self.path("report.html")
        broken = {
            "no.jsonl": (["no log at all"], ["line 1", "no JSON object"]),
            "array.jsonl": (["[1, 2]"], ["line 1"]),
            "number.jsonl": (["17"], ["line 1"]),
            "other.jsonl": (['{"type":"machine"}'], ["line 1", '"machine"', '"run"']),
            "untyped.jsonl": (['{"step":1}'], ["line 1", '"type"']),
            "later.jsonl": (made_up_log(schema=2), ["line 1", "schema 2"]),
            "middle.jsonl": ([*lines[:5], lines[5][:20], *lines[6:]], ["line 6", "no JSON object"]),
            "kind.jsonl": ([*lines[:8], '{"type":"step","step":"first","loss":1,"seconds":1}'], ["line 9", '"step"', "whole number"]),
            "field.jsonl": ([*lines[:8], '{"type":"epoch","epoch":1}'], ["line 9", '"steps"']),
            "order.jsonl": ([*lines[:4], record("plan", tensor="y", offset=0, bytes=1, first_op=2, last_op=1)], ["line 5", "last_op"]),
            "huge.jsonl": ([*lines[:4], record("plan", tensor="y", offset=2**63, bytes=1, first_op=1, last_op=1)], ["line 5", '"offset"']),
            "pixels.jsonl": ([*lines[:4], record("mistakes", index=1, label=1, predicted=2, channels=1, height=9, width=9, pixels="AAAA")],
                             ["line 5", '"pixels"']),
            "long.jsonl": ([lines[0], "x" * (1 << 20) + "yz"], ["line 2", "1048576"]),
            "deep.jsonl": ([lines[0], "[" * 100000], ["line 2"]),
        }
        for name, (text, words) in broken.items():
            with self.subTest(name=name):
                self.refused(3, [name, *words], "report", self.log(text, name=name), "-o", out)
                self.assertFalse(os.path.exists(out))
        self.refused(3, ["empty"], "report", self.log([], name="empty.jsonl", end=""), "-o", out)
        self.refused(8, ["nothing.jsonl"], "report", self.path("nothing.jsonl"), "-o", out)
        self.refused(8, [self.folder], "report", self.folder, "-o", out)
        good = self.log(lines)
        self.refused(2, ["-o FILE.html", "--svg"], "report", good)
        self.refused(2, ["RUN.jsonl"], "report", "-o", out)
        self.refused(8, ["/nonexistent"], "report", good, "-o", "/nonexistent/report.html")
        self.refused(8, ["/nonexistent"], "report", good, "--svg", "/nonexistent/pictures")

    def test_on_stdout(self):
        done = self.ok(run("report", self.log(made_up_log()), "-o", "-"))
        self.assertTrue(done.stdout.startswith("<!DOCTYPE html>"))
        Page(done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
