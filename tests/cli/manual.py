#!/usr/bin/env python3
"""The manual page, which is made of --help, has every command and every option of every command; and its roff is sound.

usage: manual.py LEAN_TRAIN MAN_PAGE_PY [TestCase.test ...]
"""
import os, re, shutil, subprocess, sys, unittest

from case import PROGRAM, Case, run

MAKER = os.path.abspath(sys.argv.pop(1))


class Manual(Case):
    def setUp(self):
        super().setUp()
        self.page = self.path("lean-train.1")
        subprocess.run([sys.executable, MAKER, PROGRAM, self.page], check=True)
        with open(self.page) as page: self.text = page.read()
        self.plain = self.text.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")

    def test_every_command_and_option_is_in_it(self):
        commands = [[]]
        for command in commands:  # grows as commands of commands are found
            text = self.ok(run(*command, "--help")).stdout
            shown, *_ = text.split("Examples:")
            listed = re.search(r"(?ms)^(?:Commands|Subcommands):\n(.*?)(?:\n\n|\Z)", shown)
            for name in re.findall(r"(?m)^  ([a-z0-9]\S*)", listed[1] if listed else ""): commands.append([*command, name])
            if command: self.assertIn(f"\n.SS lean-train {' '.join(command)}\n", self.plain)
            for option in re.findall(r"(?m)^  (-\S+)", shown):
                if not option.startswith("-h,"): self.assertTrue(re.search(rf"(?m)^{re.escape(option)}( |$)", self.plain), (command, option))
        self.assertGreater(len(commands), 15)
        examples = self.ok(run("compare", "--help")).stdout.split("Examples:\n")[1].strip().splitlines()
        for line in examples: self.assertIn("\n" + line.strip() + "\n", self.plain)

    def test_exit_codes_are_in_it(self):
        for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143): self.assertRegex(self.plain, rf"(?m)^\.TP\n{code}$")

    def test_no_line_is_taken_for_a_request(self):
        """All that begins with a dot is a macro of ours; a letter that roff would swallow or change is escaped."""
        for line in self.text.splitlines():
            if line.startswith("."): self.assertRegex(line, r"^\.(TH|SH|SS|TP|PP|B|I|nf|fi|RS|RE)( |$)")
            self.assertFalse(line.startswith("'"), line)
            self.assertNotRegex(line.replace("\\-", ""), r"(?<!\\)-" if not line.startswith(".TH") else r"^$")
        self.assertTrue(self.text.isascii())

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_finds_nothing(self):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", self.page], capture_output=True, text=True)
        self.assertEqual([line for line in done.stdout.splitlines() if "missing date" not in line], [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
