// One line of a run log: an object of numbers, texts and nulls. Read by a parser that calls back, into storage that is used
// again for the next line: a log has hundreds of thousands of them. What stands deeper than the first level is skipped.
// One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

class FlatRecord {
 public:
  enum class Kind : uint8_t { text, number, boolean, null, skipped };
  struct Field {
    std::string name, text;
    double number = 0;
    bool is_whole = false;
    uint64_t whole = 0;
    Kind kind = Kind::null;
  };

  // False where the line is no JSON object; why() then says in which column.
  bool parse(std::string_view line);
  const std::string& why() const { return why_; }

  size_t size() const { return used_; }
  const Field& operator[](size_t i) const { return fields_[i]; }
  // Null where there is none of the name.
  const Field* find(std::string_view name) const;

 private:
  friend class FlatReader;
  Field& next();

  std::vector<Field> fields_;
  size_t used_ = 0;
  std::string why_;
};

}  // namespace lt::tool
