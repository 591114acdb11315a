"""lean-train data: what each command prints, leaves behind and returns. $LEAN_TRAIN is the program; $SHARED_DATA, where it is
set, a folder with mnist/*.gz, for the tests that need the published bytes. The web server is http_server.py beside this file.
"""

import fcntl
import gzip
import io
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

PROGRAM = os.environ["LEAN_TRAIN"]
SHARED = os.environ.get("SHARED_DATA") and pathlib.Path(os.environ["SHARED_DATA"]) / "mnist"
FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
SIZES = [47040016, 60008, 7840016, 10008]


def images(count):
    return struct.pack(">4I", 0x803, count, 28, 28) + bytes(784 * count)


def labels(count):
    return struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))


class DataCommand(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.cache = self.folder / "cache"
        self.environment = {"XDG_CACHE_HOME": str(self.cache), "PATH": os.environ["PATH"], "no_proxy": "127.0.0.1",
                            "LC_ALL": "C"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def data(self, *words, status=0, **changes):
        done = subprocess.run([PROGRAM, "data", *map(str, words)], env={**self.environment, **changes},
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        if status:
            self.assertIn(done.stderr.count("lean-train: "), (1, 2), done.stderr)
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("\x1b", done.stderr + done.stdout)
        return done

    def serve(self, folder):
        script = pathlib.Path(__file__).with_name("http_server.py")
        server = subprocess.Popen([sys.executable, script, folder], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return f"http://127.0.0.1:{int(server.stdout.readline())}"

    def write_set(self, folder, train=30, test=7):
        folder.mkdir(parents=True, exist_ok=True)
        for name, bytes_ in zip(FILES, [images(train), labels(train), images(test), labels(test)]):
            (folder / name).write_bytes(bytes_)
        return folder

    # list and check

    def test_list_names_sets_and_places(self):
        text = self.data("list").stdout
        self.assertRegex(text, "mnist .*52.4 MiB on disk")
        self.assertIn(f"not found in {self.cache}/lean-train; fetch it: lean-train data get mnist", text)
        self.assertRegex(text, "synthetic-digits .*built in")
        self.write_set(self.cache / "lean-train/mnist")
        self.assertIn("30 samples to train on, 7 to test with", self.data("list").stdout)
        named = self.write_set(self.folder / "named", train=31)
        self.assertIn(f"found in {named}: 31 samples", self.data("list", LEAN_TRAIN_DATA=str(named)).stdout)
        (self.cache / "lean-train/mnist" / FILES[1]).write_bytes(b"")
        self.assertIn("not usable", self.data("list").stdout)

    def test_check_reads_what_it_is_told_to(self):
        folder = self.write_set(self.folder / "set with spaces")
        for words in [(folder,), ("mnist", folder)]:
            lines = self.data("check", *words).stdout.splitlines()
            self.assertEqual(len(lines), 2, lines)
            self.assertRegex(lines[0], "mnist +train +30 samples of 1 x 28 x 28, 10 classes, XXH3-128 [0-9a-f]{32}$")
            self.assertRegex(lines[1], "mnist +test +7 samples")
        lines = self.data("check").stdout.splitlines()
        self.assertRegex(lines[0], "synthetic-digits +train +8,000 samples")
        self.assertEqual(len(self.data("check", "synthetic-digits").stdout.splitlines()), 2)

    def test_check_names_what_is_wrong(self):
        folder = self.write_set(self.folder / "set")
        (folder / FILES[0]).write_bytes(images(30)[:-1])
        done = self.data("check", folder, status=3)
        self.assertIn("1 missing", done.stderr)
        self.assertIn("test", done.stdout)  # the other split is read all the same
        self.assertEqual(self.data("check", "mnist", self.folder / "none", status=3).stderr.count("no such folder"), 1)
        self.data("check", self.folder / "none", status=3)
        self.assertIn("lean-train data get mnist", self.data("check", "mnist", status=3).stderr)
        self.assertIn("unknown data set", self.data("check", "mnits", folder, status=2).stderr)

    # get

    def test_usage(self):
        self.data(status=2)
        self.data("get", status=2)
        self.data("got", status=2)
        self.assertIn("what can be fetched: mnist, cifar10, imdb", self.data("get", "cifar", status=2).stderr)
        self.assertIn("built in", self.data("get", "synthetic-digits", status=2).stderr)
        self.assertIn("files of your own", self.data("get", "sequences", status=2).stderr)
        done = self.data("get", "mnist", status=2, XDG_CACHE_HOME="")
        self.assertIn("--to", done.stderr)

    def test_get_refuses_what_was_not_published(self):
        source = self.write_set(self.folder / "source")
        done = self.data("get", "mnist", "--from", source, "--to", self.folder / "to", status=3)
        self.assertIn("unpacks to 23536 bytes, expected 47040016", done.stderr)
        (source / FILES[0]).write_bytes(bytes(SIZES[0]))
        done = self.data("get", "mnist", "--from", source, "--to", self.folder / "to", status=3)
        self.assertIn("expected ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", done.stderr)
        self.assertEqual(list((self.folder / "to").iterdir()), [])
        self.data("get", "mnist", "--from", self.folder / "none", "--to", self.folder / "to", status=8)

    def test_get_leaves_foreign_files_alone(self):
        to = self.write_set(self.folder / "to")
        before = (to / FILES[0]).read_bytes()
        self.assertIn("--force", self.data("get", "mnist", "--to", to, "--from", self.folder, status=3).stderr)
        self.assertEqual((to / FILES[0]).read_bytes(), before)

    def test_get_tells_servers_faults_from_its_own(self):
        source = self.folder / "source"
        source.mkdir()
        (source / (FILES[0] + ".gz")).write_bytes(gzip.compress(bytes(SIZES[0]), 1))
        url = self.serve(source)
        to = self.folder / "to"
        get = lambda where, status, **changes: self.data("get", "mnist", "--from", where, "--to", to, status=status,
                                                         **changes).stderr
        self.assertIn("404", get(f"{url}/404/", 8))
        self.assertIn("not-there", get("http://not-there.invalid", 8))
        self.assertIn("expected ba891046", get(f"{url}/good", 3))
        get(f"{url}/page", 3)
        get(f"{url}/wrong", 3)
        self.assertEqual(list(to.iterdir()), [])
        self.assertIn("neither curl nor wget", get(f"{url}/good", 8, PATH="/nowhere"))
        self.assertIn("http", get("ftp://127.0.0.1/x", 8))
        (self.folder / "file").write_text("in the way")
        self.data("get", "mnist", "--to", self.folder / "file", status=8)

    def test_get_takes_a_folder_for_itself(self):
        to = self.folder / "to"
        to.mkdir()
        descriptor = os.open(to, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        done = self.data("get", "mnist", "--from", self.folder, "--to", to, status=8)
        self.assertIn("another lean-train", done.stderr)

    # prepare

    def test_prepare_unpacks_into_place(self):
        raw = self.folder / "parent/MNIST/raw"
        raw.mkdir(parents=True)
        for name, bytes_ in zip(FILES[2:], [images(10000), labels(10000)]):
            (raw / (name + ".gz")).write_bytes(gzip.compress(bytes_, 1))
        self.assertIn("lean-train data prepare mnist", self.data("check", self.folder / "parent", status=3).stderr)
        done = self.data("prepare", "mnist", self.folder / "parent")
        self.assertIn("2 files unpacked", done.stdout)
        self.assertIn("not the published bytes", done.stderr)
        self.assertEqual((raw / FILES[3]).read_bytes(), labels(10000))
        self.assertIn("nothing to prepare", self.data("prepare", raw).stdout)
        (raw / FILES[3]).unlink()
        (raw / (FILES[3] + ".gz")).write_bytes(gzip.compress(labels(10001)))
        self.data("prepare", raw, status=3)
        self.assertFalse((raw / FILES[3]).exists())
        self.data("prepare", "mnist", status=3)
        self.assertIn("nothing to prepare", self.data("prepare", "synthetic-digits").stdout)

    def test_prepare_unpacks_an_archive(self):
        parent = self.folder / "parent"
        parent.mkdir()
        batch = (b"\3" + bytes(3072)) * 10000
        with tarfile.open(parent / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as tar:
            for name in ["readme.html", *BATCHES]:
                about = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                about.size = len(batch) if name in BATCHES else 5
                tar.addfile(about, io.BytesIO(batch))
        self.assertIn("lean-train data prepare cifar10", self.data("check", parent, status=3).stderr)
        done = self.data("prepare", "cifar10", parent)
        self.assertIn("6 files unpacked", done.stdout)
        self.assertIn("not the published bytes", done.stderr)
        self.assertEqual(sorted(path.name for path in (parent / "cifar-10-batches-bin").iterdir()), BATCHES)
        lines = self.data("check", parent).stdout.splitlines()
        self.assertRegex(lines[0], "cifar10 +train +50,000 samples of 3 x 32 x 32, 10 classes")
        self.assertIn("nothing to prepare", self.data("prepare", parent).stdout)
        # What is not the published archive is not fetched.
        done = self.data("get", "cifar10", "--from", parent, "--to", self.folder / "to", status=3)
        self.assertIn("expected c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", done.stderr)
        self.assertEqual(list((self.folder / "to").iterdir()), [])
        url = self.serve(parent)
        self.assertIn("came, expected 170052171", self.data("get", "cifar10", "--from", f"{url}/good", "--to", self.folder / "to",
                                                           status=3).stderr)
        self.assertIn("404", self.data("get", "cifar10", "--from", f"{url}/404", "--to", self.folder / "to", status=8).stderr)

    # with the published bytes

    @unittest.skipUnless(SHARED and SHARED.is_dir(), "the published files are not here (-Dshared_data)")
    def test_get_from_a_folder_and_from_the_web(self):
        url = self.serve(SHARED)
        for source in [SHARED, f"{url}/good", f"{url}/break-4000000", f"{url}/no-ranges", f"{url}/moved/"]:
            with self.subTest(source):
                to = self.folder / "to"
                self.data("get", "mnist", "--from", source, "--to", to)
                self.assertEqual(sorted(path.name for path in to.iterdir()), sorted(FILES))
                lines = self.data("check", to).stdout.splitlines()
                self.assertRegex(lines[0], "mnist +train +60,000 samples")
                self.assertRegex(lines[1], "mnist +test +10,000 samples")
                (to / FILES[0]).write_bytes(b"broken")
                self.data("get", "mnist", "--from", source, "--to", to, status=3)
                done = self.data("get", "mnist", "--from", source, "--to", to, "--force")
                self.assertEqual(done.stderr.count("there already"), 3)
                for path in to.iterdir():
                    path.unlink()
        self.data("get", "mnist", "--from", SHARED)
        self.assertIn("60,000 samples", self.data("list").stdout)


if __name__ == "__main__":
    unittest.main()
