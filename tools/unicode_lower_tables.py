#!/usr/bin/env python3
"""Writes unicode_lower_tables.h, what str.lower of this Python does to each character, asked of str.lower itself.

usage: unicode_lower_tables.py > unicode_lower_tables.h
"""
import sys, unicodedata

CHARACTERS = [c for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000]
SIGMA, FINAL = "\u03a3", "\u03c2"  # the capital letter, and the small one that ends a word


def ranges(wanted):
    """[first, last] of each run in ascending numbers."""
    found = []
    for c in wanted:
        if found and found[-1][1] == c - 1: found[-1][1] = c
        else: found.append([c, c])
    return found


def lower_ranges():
    """[first, last, step, difference]: runs of every character, or of every second one, that move equally far."""
    found = []
    for c in CHARACTERS:
        lower = chr(c).lower()
        if lower == chr(c) or chr(c) == SIGMA: continue
        if len(lower) != 1:
            assert (c, lower) == (0x130, "i\u0307"), hex(c)  # the one that unicode_lower.cpp knows
            continue
        difference = ord(lower) - c
        if found and found[-1][3] == difference:
            first, last, step, _ = found[-1]
            if c - last in (1, 2) and step in (0, c - last):
                found[-1][1:3] = [c, c - last]
                continue
        found.append([c, c, 0, difference])
    return [[first, last, step or 1, difference] for first, last, step, difference in found]


def is_final(before):
    return (before + SIGMA).lower()[-1] == FINAL


def ignorable(c):
    """Case_Ignorable: a letter before it still makes a sigma behind it the last of its word."""
    return is_final("A" + chr(c)) and not is_final(chr(c))


def print_table(kind, name, entries, text):
    print(f"\ninline constexpr {kind} {name}[] = {{")
    line = "   "
    for entry in entries:
        item = " " + text(entry) + ","
        if len(line) + len(item) > 124:
            print(line)
            line = "   "
        line += item
    print(line + "\n};")


everywhere = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
cased = [c for c in everywhere if is_final(chr(c))]
print(f"""// Written by unicode_lower_tables.py, from Unicode {unicodedata.unidata_version}: change that, not this. Constants.
// clang-format off
#pragma once

#include <cstdint>

namespace lt::tool {{

// Characters first, first + step, ... last, each of which becomes itself + difference; from U+0080 on, in rising order.
struct LowerRange {{
  uint32_t first, last, step;
  int32_t difference;
}};

struct CharacterRange {{
  uint32_t first, last;
}};""")
print_table("LowerRange", "lower_ranges", lower_ranges(), lambda r: f"{{{r[0]:#x}, {r[1]:#x}, {r[2]}, {r[3]}}}")
print("\n// Letters with a case that Case_Ignorable does not hold.", end="")
print_table("CharacterRange", "cased_ranges", ranges(cased), lambda r: f"{{{r[0]:#x}, {r[1]:#x}}}")
print("\n// Characters that are passed over in the search for the letter beside a sigma.", end="")
print_table("CharacterRange", "case_ignorable_ranges", ranges(c for c in everywhere if ignorable(c)),
            lambda r: f"{{{r[0]:#x}, {r[1]:#x}}}")
print("\n}  // namespace lt::tool")
sys.stdout.flush()
