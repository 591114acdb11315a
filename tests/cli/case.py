"""What the tests of the program share: how it is started, and what is read of its files. LEAN_TRAIN is taken from the command line."""
import json, os, subprocess, sys, tempfile, unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE_SECONDS = 120  # sanitizers and a busy machine


def environment(**more):
    names = {name: value for name, value in os.environ.items() if name not in ("LEAN_TRAIN_DATA", "NO_COLOR")}
    return {**names, "XDG_CACHE_HOME": "/nonexistent", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **more}


def run(*arguments, env=None, **more):
    """`more` goes to subprocess.run: input="..." for stdin, say."""
    more.setdefault("stdout", subprocess.PIPE)
    if "input" not in more: more["stdin"] = subprocess.DEVNULL
    return subprocess.run([PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, env=env or environment(), **more)


def numbers(path):
    """The tensors' bytes of a safetensors file, without its header."""
    with open(path, "rb") as file: data = file.read()
    return data[8 + int.from_bytes(data[:8], "little"):]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def records(self, name="run.jsonl", pictured=False):
        """The log's records; those that only a report draws where they are asked for."""
        with open(self.path(name)) as log: records = [json.loads(line) for line in log]
        return records if pictured else [record for record in records if record["type"] not in ("op", "plan", "mistakes")]

    def ok(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, code, words, *arguments, **more):
        """The exit code, and one sentence on stderr that has the words; nothing on stdout."""
        done = run(*arguments, **more)
        self.assertEqual(done.returncode, code, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("lean-train: ")]
        self.assertEqual(len(said), 1, done.stderr)
        for word in words: self.assertIn(word, said[0])
        if done.stdout is not None: self.assertEqual(done.stdout, "")
        return done
