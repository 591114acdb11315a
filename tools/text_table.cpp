// Columns side by side. See text_table.h.
#include "tools/text_table.h"

#include <algorithm>

#include "tools/text.h"

namespace lt::tool {

TextTable::TextTable(const std::vector<std::string>& columns) : rows_(1) {
  for (const std::string& column : columns) {
    is_number_.push_back(column.starts_with('>'));
    rows_[0].push_back(column.substr(is_number_.back() ? 1 : 0));
  }
}

void TextTable::row(const std::vector<std::string>& cells) {
  rows_.push_back(cells);
  rows_.back().resize(is_number_.size());
}

std::string TextTable::text() const {
  std::vector<size_t> widths(is_number_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_columns(row[i]));
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - display_columns(row[i]), ' ');
      line += (i == 0 ? "" : "  ") + (is_number_[i] ? blanks + row[i] : row[i] + blanks);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace lt::tool
