#!/usr/bin/env python3
"""Writes the built-in recipes as a C++ table: embed.py OUTPUT.cpp RECIPE.toml..."""
import re
import sys

output, *paths = sys.argv[1:]
rows = []
for path in paths:
    text = open(path, encoding="utf-8").read()
    name = re.search(r'^name = "([^"]+)"$', text, re.M).group(1)
    rows.append(f'    {{"{name}", R"toml({text})toml"}},\n')
with open(output, "w", encoding="utf-8") as file:
    file.write('#include "src/plan/recipe.h"\n\nnamespace lt {\n\nconst BuiltInRecipe built_in_recipes[] = {\n')
    file.writelines(rows)
    file.write("};\nconst size_t built_in_recipe_count = sizeof built_in_recipes / sizeof built_in_recipes[0];\n\n}  // namespace lt\n")
