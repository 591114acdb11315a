// A table of an HTML page, cells escaped. It scrolls within its own box where it is wider than the page. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

class Table {
 public:
  // `columns` beginning with '>' are numbers, and stand at the right.
  Table(std::string caption, const std::vector<std::string>& columns);
  // The first cell names the row.
  void row(const std::vector<std::string>& cells);
  bool is_empty() const { return rows_ == 0; }
  std::string html() const;

 private:
  std::string caption_, head_, body_;
  std::vector<bool> is_number_;
  size_t rows_ = 0;
};

// What is only shown when it is asked for, and on paper.
std::string folded(const std::string& summary, const std::string& html);

}  // namespace lt::tool
