#!/usr/bin/env python3
"""Installs the build into an empty folder and uses it from there as a stranger would: the C program tests/embed.c, compiled
by pkg-config's word alone, with the shared library and with the static one. Then looks at what was installed: the
functions that the library shows, the libraries that the program asks for, and their sizes.

usage: install.py MESON SOURCE_ROOT BUILD_ROOT CC [DATA_DIR]
"""
import os, re, shlex, shutil, subprocess, sys, tempfile, unittest

MESON, SOURCE, BUILD, CC = sys.argv[1:5]
DATA = sys.argv[5:6]
LARGEST_BYTES = 10 << 20  # of a stripped program or library, with the kernels for CUDA in it
SYSTEM = re.compile(r"^(libc|libm|ld-linux-[a-z0-9-]+)\.so\.\d+$")


def output(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)} gave {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def find(root, pattern):
    names = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return sorted(name for name in names if re.search(pattern, name) and not os.path.islink(name))


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = os.path.join(cls.folder.name, "root")
        output(MESON, "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.root)
        (cls.header,) = find(cls.root, r"/lean_train\.h$")
        (cls.shared,) = find(cls.root, r"/liblean-train\.so[.0-9]*$")
        (cls.program,) = find(cls.root, r"/bin/lean-train$")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def text(self, path):
        with open(path) as file: return file.read()

    def flags(self, root, *options):
        (description,) = find(root, r"/lean-train\.pc$")
        environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=root, PKG_CONFIG_LIBDIR=os.path.dirname(description))
        return shlex.split(output("pkg-config", *options, "lean-train", env=environment))

    def embed(self, root, *options):
        folder = tempfile.mkdtemp(dir=self.folder.name)
        program = os.path.join(folder, "embed")
        output(*shlex.split(CC), "-std=c11", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", os.path.join(SOURCE, "tests/embed.c"),
               "-o", program, *self.flags(root, "--cflags", "--libs", *options), "-lm")
        environment = dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(self.shared))
        print(output(program, *DATA, cwd=folder, env=environment))
        return program

    def needed(self, path):
        return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", path))

    def test_embedding_the_shared_library(self):
        self.assertTrue(any("liblean-train" in name for name in self.needed(self.embed(self.root))))

    def test_embedding_the_static_library(self):
        root = os.path.join(self.folder.name, "static")
        shutil.copytree(self.root, root, symlinks=True)
        for folder, _, names in os.walk(root):
            for name in names:
                if ".so" in name: os.unlink(os.path.join(folder, name))
        self.assertFalse(any("liblean-train" in name for name in self.needed(self.embed(root, "--static"))))

    def test_the_library_shows_the_functions_of_its_header_and_no_others(self):
        text = re.sub(r"/\*.*?\*/", "", self.text(self.header), flags=re.DOTALL)
        declared = set(re.findall(r"^LT_API\b[^;(]*?\b(lt_\w+)\s*\(", text, re.MULTILINE))
        shown = {line.split()[-1].split("@")[0] for line in output("nm", "-D", "--defined-only", self.shared).splitlines()}
        self.assertGreater(len(declared), 20)
        self.assertEqual(shown, declared)

    def test_only_the_system_libraries_are_asked_for(self):
        for path in (self.program, self.shared):
            strangers = [name for name in self.needed(path) if not SYSTEM.match(name)]
            self.assertEqual(strangers, [], path)

    def test_only_one_header_is_installed(self):
        self.assertEqual(find(self.root, r"\.(h|hpp)$"), [self.header])

    def test_what_is_installed_is_small(self):
        for path in (self.program, self.shared):
            stripped = os.path.join(self.folder.name, "stripped")
            output("strip", "-o", stripped, path)
            print(f"{os.path.basename(path)}: {os.path.getsize(stripped)} bytes stripped")
            self.assertLessEqual(os.path.getsize(stripped), LARGEST_BYTES)

    def test_manual_and_completions_are_there(self):
        (manual,) = find(self.root, r"/man/man1/lean-train\.1$")
        self.assertIn("lean\\-train compare", self.text(manual))
        for place in ("bash-completion/completions/lean-train", "zsh/site-functions/_lean-train", "fish/vendor_completions.d/lean-train.fish"):
            (script,) = find(self.root, "/share/" + re.escape(place) + "$")
            self.assertIn("completion words", self.text(script))

    def test_the_installed_program_starts_in_an_empty_environment(self):
        self.assertIn("0.", output(self.program, "--version", env={}, cwd="/"))


unittest.main(argv=sys.argv[:1])
