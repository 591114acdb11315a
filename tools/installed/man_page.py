#!/usr/bin/env python3
"""Writes the manual page of lean-train from what the program says of itself: every command, option and example of every --help.
Options that all training commands share stand once, in a section of their own.

usage: man_page.py LEAN_TRAIN [OUTPUT]
"""
import re, subprocess, sys

TRAINING = ("mnist", "cifar10", "imdb", "rnn", "train")
EXITS = {0: "All went well.", 1: "A fault of lean-train's own: please report it.", 2: "A command, option, model or recipe that is not understood.",
         3: "A data file that is missing, damaged, or does not fit the model.", 4: "A device or kernel family that cannot be used.",
         5: "Memory that is refused, or a limit that is too small.", 6: "A loss or weight that is not finite; sides of a comparison that differ.",
         7: "A file of weights or a checkpoint that is missing, damaged, or another model's.", 8: "A file or stream that cannot be read or written.",
         130: "Stopped by SIGINT, the state saved where --save was given.", 143: "Stopped by SIGTERM, likewise."}
ENVIRONMENT = {"LEAN_TRAIN_DATA": "Folder in which data sets are looked for, before the cache.",
               "LEAN_TRAIN_CUDA_PATH": "Folders, separated by colons, with NVIDIA's libraries.",
               "XDG_CACHE_HOME": "Its folder lean-train holds data that was fetched or prepared [~/.cache].",
               "NO_COLOR": "Where it is set and not empty, nothing is coloured."}


class Help:
    """What `--help` of one command says: description, usage, [(group, [(name, text)])], examples."""

    def __init__(self, program, *command):
        text = subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout
        head, *parts = re.split(r"\n(?=\S[^\n]*:\n)", text.rstrip("\n"))
        self.description, usage = head.split("\nUsage: ")
        self.usage = usage.split("\n")[0]
        self.groups, self.examples = [], []
        for part in parts:
            title, *lines = part.split("\n")
            if title == "Examples:": self.examples = [line[2:] for line in lines if line.strip()]
            else: self.groups.append((title[:-1], self.entries(lines)))

    @staticmethod
    def entries(lines):
        """Names begin in the third column, texts in the thirty-fifth, in the same line or below."""
        entries = []
        for line in lines:
            if re.match(r"  \S", line):
                name, _, text = line[2:].partition("  ")
                entries.append([name, text.strip()])
            elif line.strip():
                entries[-1][1] = (entries[-1][1] + " " + line.strip()).strip()
        return [tuple(entry) for entry in entries]

    def commands(self):
        return [name for title, entries in self.groups if title in ("Commands", "Subcommands") for name, _ in entries]

    def options(self):
        return [(title, [entry for entry in entries if not entry[0].startswith("-h,")]) for title, entries in self.groups
                if title not in ("Commands", "Subcommands")]


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


def entry(name, text):
    words = name.split(" ", 1)
    return f".TP\n\\fB{escape(words[0])}\\fR" + (f" \\fI{escape(words[1])}\\fR" if len(words) > 1 else "") + f"\n{escape(text)}\n"


def option_sections(groups, leave_out=frozenset()):
    page = ""
    for _, entries in groups:
        for name, text in entries:
            if (name, text) not in leave_out: page += entry(name, text)
    return page


def examples(lines, heading=".PP\nExamples:\n"):
    return heading + ".PP\n.nf\n.RS\n" + "".join(escape(line) + "\n" for line in lines) + ".RE\n.fi\n"


def page(program):
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    root = Help(program)
    helps = {}
    def walk(path, help):
        for name in help.commands():
            helps[(*path, name)] = sub = Help(program, *path, name)
            walk((*path, name), sub)
    walk((), root)
    shared = set.intersection(*({entry for _, entries in helps[name,].options() for entry in entries} for name in TRAINING))
    text = f'.TH LEAN\\-TRAIN 1 "" "lean\\-train {escape(version)}" "User commands"\n'
    text += f".SH NAME\nlean\\-train \\- train and run small neural networks\n.SH SYNOPSIS\n.B lean\\-train\n.I COMMAND\n[\\fIOPTION\\fR ...]\n"
    text += f".SH DESCRIPTION\n{escape(root.description)}\n.PP\nResults are written to stdout, all else to stderr.\n" + option_sections(root.options())
    text += ".SH COMMANDS\n"
    for path, help in helps.items():
        text += f".SS {escape('lean-train ' + ' '.join(path))}\n{escape(help.description)}.\n"
        own = option_sections(help.options(), shared if path[0] in TRAINING else frozenset())
        text += own + (".PP\nand the options of a training.\n" if path[0] in TRAINING else "")
        if help.examples: text += examples(help.examples)
    text += ".SH OPTIONS OF A TRAINING\n"
    for title, entries in helps["mnist",].options():
        kept = [each for each in entries if each in shared]
        if kept: text += f".SS {escape(title)}\n" + "".join(entry(*each) for each in kept)
    text += ".SH ENVIRONMENT\n" + "".join(entry(*each) for each in ENVIRONMENT.items())
    text += ".SH EXIT STATUS\n" + "".join(entry(str(code), words) for code, words in EXITS.items())
    return text + ".SH EXAMPLES\n" + examples(root.examples, "").removeprefix(".PP\n")


if __name__ == "__main__":
    written = page(sys.argv[1])
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w") as output: output.write(written)
    else:
        sys.stdout.write(written)
