#!/usr/bin/env python3
"""Folders of JPEG and PNG images: what a network is given of each is what torchvision makes of it by Pillow, broken ones are named, and
nothing depends on the number of threads.

usage: images.py LEAN_TRAIN IMAGE_READER [TestCase.test ...]      the second is built of image_reader.cpp
"""
import csv, io, json, os, struct, subprocess, sys, unittest, zlib

from packages import need

need("numpy", "PIL")
import numpy
from PIL import Image

from case import Case, environment, run

READER = os.path.abspath(sys.argv.pop(1))


def reference(path, side, shorter_side, mode="RGB"):
    """transforms.Resize and CenterCrop of torchvision, on a Pillow image: [channel][row][column]."""
    image = Image.open(path)
    if image.mode.startswith("I"):  # grey of 16 bits: the upper 8
        image = Image.fromarray((numpy.asarray(image).astype(numpy.uint32) >> 8).astype(numpy.uint8))
    image = image.convert(mode)
    width, height = image.size
    shorter, longer = min(width, height), max(width, height)
    long_side = int(shorter_side * longer / shorter)
    width, height = (shorter_side, long_side) if width <= height else (long_side, shorter_side)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    top, left = int(round((height - side) / 2.0)), int(round((width - side) / 2.0))
    pixels = numpy.asarray(image.crop((left, top, left + side, top + side)))
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def png(width, height, depth, colour, rows, interlaced=0):
    def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def interlaced_png(image):
    """Adam7, of 8-bit grey: seven images in one."""
    pixels = numpy.asarray(image)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for top, left, down, across in passes for row in pixels[top::down, left::across])
    return png(*image.size, 8, 0, rows, 1)


def many_scans(count):
    """A grey progressive JPEG of 8 x 8: of each coefficient one bit a scan, all of them zeros."""
    def segment(marker, data): return bytes([0xff, marker]) + struct.pack(">H", len(data) + 2) + data
    one_code = bytes([1] + [0] * 15 + [0])  # the code 0 for the symbol 0
    out = b"\xff\xd8" + segment(0xdb, bytes([0] + [1] * 64)) + segment(0xc2, struct.pack(">BHHB", 8, 8, 8, 1) + bytes([1, 0x11, 0]))
    out += segment(0xc4, bytes([0x00]) + one_code) + segment(0xc4, bytes([0x10]) + one_code)
    scans = [(k, k, 0 if low == 13 else low + 1, low) for k in range(64) for low in range(13, -1, -1)]
    for first, last, high, low in scans[:count]: out += segment(0xda, bytes([1, 1, 0, first, last, high << 4 | low])) + b"\x7f"
    return out + b"\xff\xd9"


class Folder(Case):
    def setUp(self):
        super().setUp()
        self.numbers = numpy.random.default_rng(11)
        self.images = self.path("images")
        os.mkdir(self.images)

    def picture(self, width, height, mode="RGB"):
        """Smooth waves with a little noise: what both survives JPEG and shows errors of a resampler."""
        y, x = numpy.mgrid[0:height, 0:width]
        planes = [127 + 90 * numpy.sin(x / (5 + 9 * c) + c) * numpy.cos(y / (7 + 4 * c)) + self.numbers.normal(0, 12, (height, width)) for c in range(4)]
        bytes_ = numpy.clip(numpy.stack(planes, -1), 0, 255).astype(numpy.uint8)
        if mode == "L": return Image.fromarray(bytes_[..., 0])
        return Image.fromarray(bytes_[..., :len(Image.new(mode, (1, 1)).getbands())], mode=mode)

    def put(self, name, data):
        with open(os.path.join(self.images, name), "wb") as file: file.write(data)

    def save(self, name, image, **options):
        image.save(os.path.join(self.images, name), **options)

    def files(self): return sorted(os.listdir(self.images), key=os.fsencode)


class Images(Folder):
    def read(self, side=224, shorter_side=256, channels=3, threads=2, ahead=4, skip_bad=0, names=None, code=0):
        words = [READER, self.images, *map(str, (side, shorter_side, channels, threads, ahead, skip_bad)), *([names] if names else [])]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, env=environment())
        self.assertEqual(done.returncode, code, done.stderr)
        return numpy.frombuffer(done.stdout, numpy.uint8).reshape(-1, channels, side, side), done.stderr.decode("utf-8", "surrogateescape")

    def agree(self, got, names, side=224, shorter_side=256, mode="RGB", most_mean=0.01):
        self.assertEqual(len(got), len(names))
        for image, name in zip(got, names):
            expected = reference(os.path.join(self.images, name), side, shorter_side, mode).astype(int)
            self.assertLessEqual(numpy.abs(image - expected).max(), 1, name)
            self.assertLess(numpy.abs(image - expected).mean(), most_mean, name)

    def test_sizes_are_resampled_as_by_pillow(self):
        for width, height in ((500, 375), (375, 500), (257, 999), (256, 256), (300, 300), (10, 7), (1, 1), (3, 400), (1201, 401), (640, 225)):
            self.save(f"{width}x{height}.png", self.picture(width, height))
        # Newer versions of Pillow go down before across where that is less work: a quarter of the bytes is then rounded otherwise.
        self.agree(self.read()[0], self.files(), most_mean=0.3)
        self.agree(self.read(32, 32)[0], self.files(), 32, 32, most_mean=0.3)
        self.agree(self.read(27, 40, channels=1)[0], self.files(), 27, 40, "L", most_mean=0.3)
        self.agree(self.read(225, 300)[0], self.files(), 225, 300, most_mean=0.3)

    def test_kinds_of_png(self):
        for mode in ("L", "RGB", "RGBA", "LA"): self.save(f"{mode}.png", self.picture(300, 280, mode))
        for colours in (2, 16, 200): self.save(f"palette{colours}.png", self.picture(280, 300).quantize(colours))
        self.save("clear_palette.png", self.picture(280, 300).quantize(16), transparency=3)
        self.save("clear_grey.png", self.picture(280, 300, "L"), transparency=100)
        self.save("one_bit.png", self.picture(280, 300).convert("1"))
        for depth in (2, 4):
            rows = b"".join(b"\0" + self.numbers.bytes(280 * depth // 8) for _ in range(270))
            self.put(f"grey{depth}.png", png(280, 270, depth, 0, rows))
        colour = b"".join(b"\0" + self.numbers.bytes(280 * 6) for _ in range(270))
        self.put("colour16.png", png(280, 270, 16, 2, colour))
        grey = numpy.asarray(self.picture(280, 270, "L")).astype(numpy.uint16) * 256 + 200
        self.put("grey16.png", png(280, 270, 16, 0, b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey)))
        self.put("interlaced.png", interlaced_png(self.picture(281, 263, "L")))
        self.agree(self.read()[0], self.files())

    def test_kinds_of_jpeg(self):
        for mode in ("L", "RGB", "CMYK"):
            self.save(f"{mode}.jpg", self.picture(333, 290, mode), quality=90)
            self.save(f"{mode}-progressive.jpeg", self.picture(333, 290, mode), quality=75, progressive=True)
        for subsampling in (0, 1, 2): self.save(f"sampled{subsampling}.JPG", self.picture(301, 277), subsampling=subsampling)
        self.save("restarts.jpg", self.picture(301, 277), restart_marker_rows=2)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees: not done, as torchvision does not
        self.save("turned.jpg", self.picture(400, 300), exif=exif)
        self.save("other_name.png", self.picture(300, 300), format="JPEG")
        self.agree(self.read()[0], self.files())

    def test_order_and_other_files(self):
        names = ["B.png", "a.png", "a-1.png", "Z.PNG", "\u00e4.png", "10.png", "9.png", "with, comma \"and\" more.png"]
        for value, name in enumerate(names): self.save(name, Image.new("RGB", (8, 8), (value, 0, 0)))
        for name in ("notes.txt", ".png", "png", "a.png.bak"): self.put(name, b"no image")
        os.mkdir(os.path.join(self.images, "folder.d"))
        in_order = sorted(names, key=os.fsencode)
        images, said = self.read(8, 8, names=self.path("names.csv"))
        self.assertEqual([names[image[0, 0, 0]] for image in images], in_order)
        self.assertEqual(said, "")
        with open(self.path("names.csv"), newline="", encoding="utf-8") as file: rows = list(csv.reader(file))
        self.assertEqual(rows, [["row", "name"]] + [[str(row), name] for row, name in enumerate(in_order)])

    def test_threads_change_nothing(self):
        for i in range(40): self.save(f"{i:02}.jpg", self.picture(60 + i, 90 - i))
        for i in (3, 4, 5, 39): self.put(f"{i:02}.jpg", b"\xff\xd8\xff")
        first = self.read(48, 56, skip_bad=1, threads=1, ahead=1)
        self.assertEqual(len(first[0]), 36)
        for threads, ahead in ((1, 7), (2, 1), (3, 4), (8, 100)):
            images, said = self.read(48, 56, skip_bad=1, threads=threads, ahead=ahead)
            numpy.testing.assert_array_equal(images, first[0])
            self.assertEqual(said, first[1])

    def broken(self):
        """Files that are none, or not whole: names and what is said of them."""
        whole = io.BytesIO()
        self.picture(200, 220).save(whole, "JPEG", quality=90)
        jpeg = whole.getvalue()
        progressive = io.BytesIO()
        self.picture(200, 220).save(progressive, "JPEG", progressive=True)
        progressive = progressive.getvalue()
        size = progressive.index(b"\xff\xc2") + 5
        rows = b"".join(b"\0" + self.numbers.bytes(30) for _ in range(10))
        small = png(10, 10, 8, 2, rows)
        damaged = bytearray(small)
        damaged[60] ^= 0x10
        middle = len(jpeg) // 2
        files = {
            "empty.jpg": (b"", "is empty"), "text.png": (b"<html>not found</html>", "neither a JPEG nor a PNG"), "cut.jpg": (jpeg[:len(jpeg) // 2], "broken JPEG"),
            "head.jpg": (jpeg[:200], "broken JPEG"), "cut-progressive.jpg": (progressive[:len(progressive) * 3 // 4], "broken JPEG"),
            "ended.jpg": (jpeg[:middle] + b"\xff\xd9" + jpeg[middle:], "broken JPEG"), "cut.png": (small[:80], "broken PNG"), "damaged.png": (bytes(damaged), "broken PNG"),
            "few_rows.png": (png(10, 20, 8, 2, rows), "broken PNG"), "no_rows.png": (png(0, 20, 8, 2, rows), "broken PNG"),
            "huge.png": (png(20000, 20000, 8, 2, rows), "20000 x 20000 pixels"), "huge_interlaced.png": (png(11000, 11000, 8, 2, rows, 1), "is interlaced and would need 363000000"),
            "huge_progressive.jpg": (progressive[:size] + struct.pack(">HH", 11000, 11000) + progressive[size + 4:], "is progressive and would need"),
            "huge.jpg": (jpeg[:jpeg.index(b"\xff\xc0") + 5] + struct.pack(">HH", 60000, 60000) + jpeg[jpeg.index(b"\xff\xc0") + 9:], "60000 x 60000 pixels"),
            "scans.jpg": (many_scans(502), "more than 500 scans")}
        for name, (data, _) in files.items(): self.put(name, data)
        return {name: words for name, (_, words) in files.items()}

    def test_broken_images_are_named(self):
        files = self.broken()
        os.mkfifo(os.path.join(self.images, "pipe.png"))
        os.symlink("nowhere", os.path.join(self.images, "gone.png"))
        files.update({"pipe.png": "no ordinary file", "gone.png": "No such file"})
        good = ["0.png", "m.png", "zz.png"]
        for name in good: self.save(name, self.picture(50, 60))
        self.put("zz_scans.jpg", many_scans(499))
        images, said = self.read(skip_bad=1)
        self.agree(images, [*good, "zz_scans.jpg"])
        lines = said.splitlines()
        self.assertEqual([line.split(": ")[0] for line in lines], sorted(files, key=os.fsencode))
        for line in lines: self.assertIn(files[line.split(": ")[0]], line)
        images, said = self.read(code=3)
        self.agree(images, ["0.png"])
        self.assertIn(self.images + "/cut-progressive.jpg: is a broken JPEG file", said)

    def test_folders_without_images(self):
        self.assertIn("holds no .jpg", self.read(code=3)[1])
        os.rmdir(self.images)
        self.assertIn("cannot be listed", self.read(code=3)[1])


class Predict(Folder):
    """A trained model is asked about a folder of images."""
    def rows(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.ok(run("predict", self.path("F"), "--quiet", *arguments)).stdout)))

    def probabilities(self, rows): return [[row[f"p{c}"] for c in range(10)] for row in rows]

    def test_colour_images_are_samples(self):
        self.ok(run("cifar10", "--steps", "2", "--save", self.path("F"), "--quiet"))
        with open(self.path("batch.bin"), "wb") as file:
            for i in range(5):
                image = self.picture(32, 32)
                self.save(f"{i}.png", image)
                file.write(bytes([i]) + numpy.asarray(image).transpose(2, 0, 1).tobytes())
        rows = self.rows("--data", self.images)
        self.assertEqual([row["name"] for row in rows], [f"{i}.png" for i in range(5)])
        self.assertEqual(self.probabilities(rows), self.probabilities(self.rows("--data", self.path("batch.bin"))))
        self.put("3.png", b"none")
        self.put("5,.jpg", b"")
        done = run("predict", self.path("F"), "--data", self.images)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(len(done.stdout.splitlines()), 4, "the images in front of the broken one")
        self.assertIn("3.png: is neither", done.stderr)
        done = self.ok(run("predict", self.path("F"), "--data", self.images, "--skip-bad", "--json"))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([(line["index"], line["name"]) for line in lines], list(enumerate(["0.png", "1.png", "2.png", "4.png"])))
        self.assertIn("2 images of 6 left out", done.stderr)
        self.assertIn("5,.jpg: is empty", done.stderr)
        self.refused(2, ["--confusion"], "predict", self.path("F"), "--data", self.images, "--confusion")

    def test_grey_images_are_samples(self):
        self.ok(run("mnist", "--model", "linear", "--steps", "2", "--save", self.path("F"), "--quiet"))
        pixels = [self.picture(28, 28, "L") for _ in range(4)]
        with open(self.path("x-images-idx3-ubyte"), "wb") as file:
            for number in (0x803, 4, 28, 28): file.write(number.to_bytes(4, "big"))
            for image in pixels: file.write(numpy.asarray(image).tobytes())
        for i, image in enumerate(pixels): self.save(f"{i}.png", image)
        self.assertEqual(self.probabilities(self.rows("--data", self.images)), self.probabilities(self.rows("--data", self.path("x-images-idx3-ubyte"))))


class Features(Folder):
    def features(self, *more, code=0):
        out = self.path("out.npy")
        done = run("resnet50", "--images", self.images, "--batch", "2", "--out", out, "--json", *more)
        self.assertEqual(done.returncode, code, done.stderr)
        if code != 0: return done
        with open(self.path("out.csv"), newline="") as file: names = [row["name"] for row in csv.DictReader(file)]
        return numpy.load(out), names, json.loads(done.stdout), done.stderr

    def test_rows_are_those_of_the_names(self):
        for i in range(3): self.save(f"{i}.png", self.picture(300 + i, 280))
        values, names, record, _ = self.features()
        self.assertEqual((values.shape, values.dtype, names), ((3, 2048), numpy.float32, ["0.png", "1.png", "2.png"]))
        self.assertEqual((record["images"], record["steps"], record["skipped_images"]), (3, 2, 0))
        # In front of the others, and with a broken one between: each row is its own picture's.
        os.rename(os.path.join(self.images, "2.png"), os.path.join(self.images, "0,.png"))
        self.put("0.5.jpg", b"none")
        done = self.features(code=3)
        self.assertIn("0.5.jpg", done.stderr)
        self.assertIn("--skip-bad", done.stderr)
        self.assertTrue(numpy.array_equal(numpy.load(self.path("out.npy")), values), "a failure leaves what was there")
        moved, names, record, said = self.features("--skip-bad")
        self.assertEqual((names, record["images"], record["skipped_images"]), (["0,.png", "0.png", "1.png"], 3, 1))
        self.assertIn("1 image of 4 left out", said)
        for row, old in enumerate((2, 0, 1)):
            self.assertLess(numpy.linalg.norm(moved[row] - values[old]) / numpy.linalg.norm(values[old]), 1e-5)
        self.assertEqual(self.features("--skip-bad", "--steps", "1")[1], ["0,.png", "0.png"])

    def test_folders_without_pictures(self):
        self.assertIn(self.images, self.features(code=3).stderr)
        self.put("0.png", b"none")
        self.assertIn("has no image that can be read", self.features("--skip-bad", code=3).stderr)
        self.assertFalse(os.path.exists(self.path("out.npy")))


if __name__ == "__main__":
    unittest.main(verbosity=1)
