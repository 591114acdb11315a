// The five forms of a result. Pure functions: any thread.
#pragma once

#include <string>

#include "tools/bench/result.h"

namespace lt::tool {

enum class BenchFormat { table, markdown, csv, json, json_lines };
// False where `word` is none of table, md, csv, json, jsonl.
bool format_of_word(const std::string& word, BenchFormat* format);

// Ends with a newline. bench/schema/bench.json describes json; jsonl is its objects, the machine first, one a line.
std::string format_result(const BenchResult& result, BenchFormat format);

// The parts, each in a file of its own.
std::string format_rows(const BenchResult& result, BenchFormat format);  // table, markdown, csv
std::string format_json(const BenchResult& result, bool one_object_a_line);

}  // namespace lt::tool
