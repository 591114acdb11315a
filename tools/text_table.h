// A table of columns in plain text, as wide as they need to be. Closing only; one thread.
#pragma once

#include <string>
#include <vector>

namespace lt::tool {

class TextTable {
 public:
  // `columns` beginning with '>' are numbers, and stand at the right.
  explicit TextTable(const std::vector<std::string>& columns);
  void row(const std::vector<std::string>& cells);
  // Lines, newlines included; two blanks between columns and none at the end of a line.
  std::string text() const;

 private:
  std::vector<bool> is_number_;
  std::vector<std::vector<std::string>> rows_;  // the first one is the heading
};

}  // namespace lt::tool
