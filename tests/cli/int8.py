#!/usr/bin/env python3
"""lean-train resnet50 --precision int8: features near those in floats, what is said of the calibration, and what is refused.

usage: int8.py LEAN_TRAIN
"""
import json, math, os, random, struct, unittest, zlib

from case import Case, run
from feature_files import npy, safetensors


def png(path, width, height, seed):
    """A picture of noise over a slope, 8 bits of red, green and blue."""
    def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    draw = random.Random(seed)
    rows = b"".join(b"\0" + bytes((x * 3 + y * 2 + channel * 40 * seed + draw.randrange(64)) % 256 for x in range(width) for channel in range(3))
                    for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


class Int8(Case):
    def pictures(self, count=3):
        folder = self.path("pictures")
        os.mkdir(folder)
        for i in range(count): png(os.path.join(folder, f"{i}.png"), 40 + 7 * i, 33, i)
        return folder

    def test_features_are_near_those_in_floats(self):
        folder, rows, ends = self.pictures(), {}, {}
        for precision in ("fp32", "int8"):
            out = self.path(precision + ".npy")
            self.said = self.ok(run("resnet50", "--batch", "2", "--precision", precision, "--images", folder, "--out", out, "--json",
                                    "--log", self.path("run.jsonl")))
            shape, rows[precision] = npy(out)
            self.assertEqual(shape, (3, 2048))
            ends[precision] = json.loads(self.said.stdout)
        for floats, narrow in zip(rows["fp32"], rows["int8"]):
            self.assertTrue(all(math.isfinite(number) for number in narrow))
            self.assertNotEqual(floats, narrow)
            self.assertGreater(cosine(floats, narrow), 0.99)
        self.assertGreater(len({tuple(row) for row in rows["int8"]}), 2)
        # It says what it is, and by what it was calibrated.
        self.assertRegex(self.said.stderr, r"(?m)^device: .*, precision: int8,")
        self.assertRegex(self.said.stderr, rf"(?m)^calibration: .* 3 pictures of {folder}, in fp32")
        first, last = self.records()[0], self.records()[-1]
        self.assertEqual((first["precision"], last["precision"], last["calibration_images"]), ("int8", "int8", 3))
        self.assertGreater(last["calibration_seconds"], 0)
        self.assertNotIn("calibration_images", ends["fp32"])
        # The plan holds, to the byte; weights of a byte each take a quarter and little more.
        plan = json.loads(self.ok(run("resnet50", "--batch", "2", "--precision", "int8", "--plan", "--json")).stdout)
        for name in ("arena_bytes", "weights_bytes", "calibration_arena_bytes"): self.assertEqual(last[name], plan[name], name)
        self.assertEqual((first["arena_bytes"], first["weights_bytes"]), (plan["arena_bytes"], plan["weights_bytes"]))
        between = {tensor["name"]: tensor["bytes"] for tensor in plan["tensors"]}
        self.assertEqual((between["layer1.0.conv1"], between["average_pool9"]), (2 * 56 * 56 * 64, 2 * 2048 * 4))
        self.assertLess(first["parameters"], last["weights_bytes"])
        self.assertLess(last["weights_bytes"], 1.02 * first["parameters"])
        self.assertLess(3.9 * first["parameters"], ends["fp32"]["weights_bytes"])

    def test_the_summary(self):
        said = self.ok(run("resnet50", "--batch", "1", "--precision", "int8", "--images", self.pictures(1))).stdout
        self.assertRegex(said, r"(?m)^int8 +weights of 8 bits, one scale a channel; activations calibrated in fp32 on 1 picture of ")
        self.assertRegex(said, r"(?m)^memory +arena .*, its weights as int8 reads them 22\.\d MiB, .* once calibrated$")

    def test_refusals(self):
        folder, out = self.path("empty"), self.path("features.npy")
        os.mkdir(folder)
        begin = ["resnet50", "--precision", "int8", "--batch", "1", "--out", out]
        self.refused(2, ["int8 is for inference, and model mnist/cnn-same is trained", "take fp32 or bf16"], "mnist", "--precision", "int8")
        self.refused(3, [folder + ": holds no .jpg, .jpeg or .png file"], *begin, "--images", folder)
        broken = os.path.join(folder, "broken.png")
        with open(broken, "wb") as file: file.write(b"\x89PNG\r\n\x1a\n")
        self.refused(3, [broken], *begin, "--images", folder)
        self.refused(3, [folder + ": has no image that can be read"], *begin, "--images", folder, "--skip-bad")
        weights = self.path("weights.safetensors")
        safetensors(weights, [("conv1.weight", [32, 1, 5, 5])])
        self.refused(7, [weights, 'tensor "conv1.weight"', "64 x 3 x 7 x 7"], *begin, "--weights", weights)
        done = self.refused(5, ["resnet50 needs", "the memory cap is 100000000", "the smallest cap that serves it is "], *begin, "--memory", "100MB")
        self.assertEqual(sorted(os.listdir(self.folder)), ["empty", "weights.safetensors"])
        # The sentence's cap is enough, the calibration's arena included.
        cap = done.stderr.split("serves it is ")[1].split()[0]
        self.ok(run(*begin, "--memory", cap, "--steps", "1"))
        self.assertEqual(npy(out)[0], (1, 2048))


unittest.main()
