"""lean-train data prepare imdb: the numbers that it makes of reviews are those of Keras' tokenizer. $LEAN_TRAIN is the program;
$SHARED_DATA, where it is set, a folder with aclImdb.tar.xz, for the tests on real reviews.
"""

import array
import collections
import gzip
import io
import json
import os
import pathlib
import pty
import resource
import struct
import subprocess
import tarfile
import tempfile
import unicodedata
import unittest

PROGRAM = os.environ["LEAN_TRAIN"]
SHARED = os.environ.get("SHARED_DATA") and pathlib.Path(os.environ["SHARED_DATA"]) / "aclImdb.tar.xz"
PARTS = ["train/pos", "train/neg", "test/pos", "test/neg"]
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def words_of_rules(text):
    """What text_to_word_sequence of Keras does by default, said again."""
    return [word for word in text.lower().translate(str.maketrans({c: " " for c in FILTERS})).split(" ") if word]


try:  # Keras' own, where it is installed
    from keras_preprocessing.text import text_to_word_sequence as words_of
except ImportError:
    words_of = words_of_rules


def read_text(bytes_):
    """As open(path, encoding="utf-8", errors="replace") reads it."""
    return io.TextIOWrapper(io.BytesIO(bytes_), encoding="utf-8", errors="replace").read()


def number(part):
    return lambda item: int(item[0].split("_")[0])


def expected(reviews):
    """reviews: {part: {file name: bytes}} -> the same arrays as in the file, and the words by rank with their counts."""
    split = {part: [words_of(read_text(bytes_)) for name, bytes_ in sorted(reviews[part].items(), key=number(part))]
             for part in PARTS}
    counts = collections.Counter()  # keeps the order of first appearance, as most_common does among equals
    for part in PARTS[:2]:
        for words in split[part]: counts.update(words)
    ranked = counts.most_common()
    numbers = {word: rank + 3 for rank, (word, _) in enumerate(ranked, 1) if rank + 3 < 30000}
    arrays = {}
    for name in ("train", "test"):
        texts = [words for part in PARTS if part.startswith(name) for words in split[part]]
        coded = [[1] + [numbers.get(word, 2) for word in words] for words in texts]
        arrays[name + ".words"] = [n for review in coded for n in review]
        offsets = [0]
        for review in coded: offsets.append(offsets[-1] + len(review))
        arrays[name + ".offsets"] = offsets
        arrays[name + ".labels"] = [1] * len(split[name + "/pos"]) + [0] * len(split[name + "/neg"])
    return arrays, ranked


def load(path):
    """The tensors and the metadata of a safetensors file."""
    bytes_ = path.read_bytes()
    length, = struct.unpack_from("<Q", bytes_)
    header = json.loads(bytes_[8:8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, about in header.items():
        begin, end = (8 + length + offset for offset in about["data_offsets"])
        tensors[name] = array.array({"I64": "q", "U16": "H", "U8": "B"}[about["dtype"]], bytes_[begin:end]).tolist()
    return tensors, metadata


class ReviewWords(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.environment = {"XDG_CACHE_HOME": str(self.folder / "cache"), "PATH": os.environ["PATH"], "LC_ALL": "C"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ: self.environment[name] = os.environ[name]

    def data(self, *words, status=0):
        done = subprocess.run([PROGRAM, "data", *map(str, words)], env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        if status: self.assertEqual(done.stderr.count("lean-train: "), 1, done.stderr)
        self.assertNotIn("\r", done.stderr)
        return done

    def write(self, reviews):
        for part in PARTS:
            (self.folder / "aclImdb" / part).mkdir(parents=True, exist_ok=True)
            for name, bytes_ in reviews[part].items(): (self.folder / "aclImdb" / part / name).write_bytes(bytes_)

    def compare(self, reviews):
        tensors, metadata = load(self.folder / "aclImdb/imdb-words.safetensors")
        arrays, ranked = expected(reviews)
        self.assertEqual(tensors.keys(), arrays.keys())
        lines = (self.folder / "aclImdb/imdb-words.txt").read_bytes().decode().split("\n")
        for line, (word, count) in zip(lines, ranked): self.assertEqual(line, f"{word}\t{count}")
        self.assertEqual(lines[len(ranked):], [""])
        for name in arrays: self.assertEqual(tensors[name], arrays[name], name)
        self.assertEqual((metadata["format"], metadata["vocabulary"], metadata["words"]),
                         ("lean-train words 1", "30000", str(len(ranked))))

    def prepared(self, reviews):
        self.write(reviews)
        (self.folder / "aclImdb/imdb-words.safetensors").unlink(missing_ok=True)
        done = self.data("prepare", "imdb", self.folder)
        self.compare(reviews)
        return done

    TEXTS = [
        b"It's A GREAT film!<br /><br />Really--\"great\", isn't it? (10/10)",
        b"", b" ", b"<br />", b"\n", b"no newline at the end", b"one\ttab\nand\rlines\r\nof every kind\x0band\x0cothers\x1cand\x85",
        "Ünïcode ÀÉÎÕÜ ŸŽ ǅ ß ẞ ﬁ İstanbul DİYARBAKIR Kelvin K Ångström Å".encode(),
        "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΑΣ.Α Α'Σ ΑΣ'Α Σ' 'Σ ΑΣ\u0301 Α\u00adΣ\u00adΑ ʰΣ ΑʰΣ".encode(),
        "non\u00a0breaking\u3000wide\u2028line\u2029paragraph\u200bzero \ufeffmark “curly” – dash… ’tis".encode(),
        b"\xff\xfe broken \xc3 \xe2\x82 \xe2\x28\xa1 \xf0\x9f\x98 \xf4\x90\x80\x80 \xed\xa0\x80 \xc0\xaf \x80 end \xf0\x9f",
        b"zero\x00byte \x00 \x01", "𐐀𐐁 𝔄 😀 𐲀 𞤀 Ა Ꭰ Ⰰ Ａ Ⓐ".encode(), b"A" * 100000, b"word " * 30000 + b"last",
        b"tie beta alpha beta alpha", b"0 1 2 3 4 5 6 7 8 9 10",
    ]

    def awkward(self):
        """Each text in the set to train on, some in the other; names out of order, and files that are none of a review."""
        reviews = {part: {} for part in PARTS}
        for i, text in enumerate(self.TEXTS):
            reviews["train/pos" if i % 2 else "train/neg"][f"{(i * 7) % 18}_{i % 10 + 1}.txt"] = text
            reviews["test/pos" if i % 3 else "test/neg"][f"{100 - i}_{i % 10 + 1}.txt"] = text + b" unseen"
        return reviews

    def test_awkward_texts(self):
        done = self.prepared(self.awkward())
        self.assertIn("places in the reviews are no UTF-8", done.stderr)
        self.assertRegex(done.stdout, "^imdb: 34 reviews, [0-9,]+ words, [0-9,]+ different ones to train on, in .*safetensors\n$")
        lines = self.data("check", self.folder).stdout.splitlines()
        self.assertRegex(lines[0], "^imdb +train +17 samples of 150 words out of 30,000, 2 classes, XXH3-128 [0-9a-f]{32}$")
        self.assertRegex(lines[1], "^imdb +test +17 samples")

    def test_every_character(self):
        # What Unicode 3.2 had has not changed since; where Python's tables are those of the program, all that there is, and
        # some of what is not.
        same = unicodedata.unidata_version == "14.0.0"
        category = unicodedata.category if same else unicodedata.ucd_3_2_0.category
        characters = [c for c in map(chr, range(0x110000)) if not 0xD800 <= ord(c) < 0xE000 and
                      (category(c) not in ("Cn", "Co") or same and ord(c) % 97 == 0)]
        text = "".join(f"a{c} " for c in characters)
        sigmas = [f"{c}Σ AΣ{c} AΣ{c}B " for c in characters]
        self.prepared({"train/pos": {"0_1.txt": text.encode()}, "train/neg": {"0_1.txt": b"a"},
                       "test/pos": {"0_1.txt": b"b"}, "test/neg": {"0_1.txt": b""}})
        self.prepared({"train/pos": {f"{i}_1.txt": "".join(sigmas[i::4]).encode() for i in range(4)},
                       "train/neg": {"0_1.txt": b"a"}, "test/pos": {"0_1.txt": b"b"}, "test/neg": {"0_1.txt": b""}})

    def test_more_words_than_numbers(self):
        # 30,100 different ones: those of rank 29,997 and below have no number of their own.
        many = " ".join(f"w{i}" for i in range(30100))
        reviews = {"train/pos": {"5_9.txt": many.encode()}, "train/neg": {"5_1.txt": many[::-1].encode()},
                   "test/pos": {"0_9.txt": many.encode()}, "test/neg": {"0_1.txt": b"w30099 w29990 w29995 w29996 w29997"}}
        self.prepared(reviews)
        tensors, _ = load(self.folder / "aclImdb/imdb-words.safetensors")
        self.assertEqual(max(tensors["train.words"]), 29999)
        self.assertIn(2, tensors["train.words"])

    def pack(self, reviews, name="aclImdb_v1.tar.gz", cut=None):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path, bytes_ in [("aclImdb/README", b"hello"), ("aclImdb/train/unsup/0_0.txt", b"not this one"),
                                 ("aclImdb/train/urls_pos.txt", b"http"),
                                 *((f"aclImdb/{part}/{name}", bytes_) for part in reversed(PARTS)
                                   for name, bytes_ in reviews[part].items())]:
                about = tarfile.TarInfo(path)
                about.size = len(bytes_)
                tar.addfile(about, io.BytesIO(bytes_))
        (self.folder / name).write_bytes(gzip.compress(packed.getvalue()[:cut], 1))

    def test_an_archive_gives_the_same_file(self):
        reviews = self.awkward()
        self.prepared(reviews)
        made = {name: (self.folder / "aclImdb" / name).read_bytes() for name in ("imdb-words.safetensors", "imdb-words.txt")}
        with tempfile.TemporaryDirectory() as other:
            self.folder = pathlib.Path(other)
            self.pack(reviews)
            self.assertIn("lean-train data prepare imdb", self.data("check", "imdb", other, status=3).stderr)
            self.data("prepare", other)
            for name, bytes_ in made.items(): self.assertEqual((self.folder / name).read_bytes(), bytes_)
            self.assertIn("nothing to prepare", self.data("prepare", "imdb", other).stdout)
            # Damaged, and made again.
            path = self.folder / "imdb-words.safetensors"
            path.write_bytes(made[path.name][:-1] + b"\7")
            self.assertIn("damaged", self.data("check", "imdb", other, status=3).stderr)
            self.data("prepare", "imdb", other)
            self.assertEqual(path.read_bytes(), made[path.name])
            # What is not the published archive is not what `get` takes.
            done = self.data("get", "imdb", "--from", other, "--to", self.folder / "to", status=3)
            self.assertIn("expected c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe", done.stderr)
            path.unlink()
            self.pack(reviews, cut=2000)
            self.data("prepare", "imdb", other, status=3)
            self.assertFalse(path.exists())

    def test_what_is_missing_is_named(self):
        reviews = self.awkward()
        reviews["test/neg"] = {"readme.txt": b"no review", "12.txt": b"", "x_1.txt": b""}
        self.write(reviews)
        self.assertIn("test/neg", self.data("prepare", "imdb", self.folder, status=3).stderr)
        self.assertEqual([path.name for path in (self.folder / "aclImdb").glob("imdb-words*")], [])
        (self.folder / "none").mkdir()
        self.assertIn("lean-train data get imdb", self.data("prepare", "imdb", self.folder / "none", status=3).stderr)
        self.assertIn("lean-train data get imdb", self.data("check", "imdb", self.folder / "none", status=3).stderr)

    def test_progress_on_a_terminal(self):
        self.write(self.awkward())
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run([PROGRAM, "data", "prepare", "imdb", str(self.folder)], stdout=subprocess.DEVNULL, stderr=theirs,
                              stdin=subprocess.DEVNULL, env={**self.environment, "TERM": "xterm"})
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"34 of 34 reviews read", os.read(ours, 1 << 16))

    def test_a_failed_write_leaves_what_was_there(self):
        reviews = self.awkward()
        self.prepared(reviews)
        path = self.folder / "aclImdb/imdb-words.safetensors"
        old = path.read_bytes()[:-1]  # not whole: it is to be made again
        path.write_bytes(old)
        before = sorted((self.folder / "aclImdb").iterdir())
        done = subprocess.run([PROGRAM, "data", "prepare", "imdb", str(self.folder)], env=self.environment,
                              capture_output=True, text=True, restore_signals=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn("writing failed: File too large; the file is as it was before", done.stderr)
        self.assertEqual(path.read_bytes(), old)
        self.assertEqual(sorted((self.folder / "aclImdb").iterdir()), before)

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_folder_that_cannot_be_written(self):
        reviews = self.awkward()
        self.write(reviews)
        (self.folder / "aclImdb").chmod(0o500)
        self.addCleanup((self.folder / "aclImdb").chmod, 0o700)
        done = self.data("prepare", "imdb", self.folder)
        self.assertIn("cannot be written", done.stderr)
        cache = self.folder / "cache/lean-train/aclImdb"
        self.assertIn(str(cache), done.stdout)
        self.assertTrue((cache / "imdb-words.safetensors").is_file())
        self.assertEqual(len(self.data("check", "imdb").stdout.splitlines()), 2)

    @unittest.skipUnless(SHARED and SHARED.is_file(), "the real reviews are not here (-Dshared_data)")
    def test_real_reviews(self):
        reviews = {part: {} for part in PARTS}
        with tarfile.open(SHARED) as tar:
            for about in tar:
                part, _, name = about.name.removeprefix("./").removeprefix("aclImdb/").rpartition("/")
                if about.isfile() and part in reviews and len(reviews[part]) < 50: reviews[part][name] = tar.extractfile(about).read()
                if all(len(found) == 50 for found in reviews.values()): break
        self.prepared(reviews)


if __name__ == "__main__":
    unittest.main()
