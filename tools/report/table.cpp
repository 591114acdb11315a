// HTML tables. See table.h.
#include "tools/report/table.h"

#include <utility>

#include "tools/report/svg.h"

namespace lt::tool {

Table::Table(std::string caption, const std::vector<std::string>& columns) : caption_(std::move(caption)) {
  for (const std::string& column : columns) {
    const bool is_number = column.starts_with('>');
    is_number_.push_back(is_number);
    head_ += std::string("<th scope=\"col\"") + (is_number ? " class=\"n\">" : ">") +
             escape_markup(std::string_view(column).substr(is_number ? 1 : 0)) + "</th>";
  }
}

void Table::row(const std::vector<std::string>& cells) {
  body_ += "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    const char* const number = i < is_number_.size() && is_number_[i] ? " class=\"n\"" : "";
    body_ += (i == 0 ? std::string("<th scope=\"row\"") : std::string("<td")) + number + ">" + escape_markup(cells[i]) +
             (i == 0 ? "</th>" : "</td>");
  }
  body_ += "</tr>\n";
  ++rows_;
}

std::string Table::html() const {
  const std::string caption = escape_markup(caption_);
  return "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" + caption + "\"><table><caption>" + caption +
         "</caption><thead><tr>" + head_ + "</tr></thead>\n<tbody>" + body_ + "</tbody></table></div>\n";
}

std::string folded(const std::string& summary, const std::string& html) {
  return "<details><summary>" + escape_markup(summary) + "</summary>" + html + "</details>\n";
}

}  // namespace lt::tool
