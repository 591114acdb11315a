// Lists and their combinations: see grid.h.
#include "tools/bench/grid.h"

#include <algorithm>

#include "tools/text.h"

namespace lt::tool {
namespace {

template <class T>
bool has_twice(std::vector<T> items) {
  std::sort(items.begin(), items.end());
  return std::adjacent_find(items.begin(), items.end()) != items.end();
}

template <class T>
std::vector<T> or_default(const std::vector<T>& items) {
  return items.empty() ? std::vector<T>{T()} : items;
}

}  // namespace

std::optional<std::vector<std::string>> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    if (comma == 0) return std::nullopt;
    items.emplace_back(text.substr(0, comma));
    if (comma == text.size()) break;
    text.remove_prefix(comma + 1);
  }
  if (has_twice(items)) return std::nullopt;
  return items;
}

std::optional<std::vector<uint32_t>> split_numbers(std::string_view text, uint32_t most) {
  const auto items = split_list(text);
  if (!items) return std::nullopt;
  std::vector<uint32_t> numbers;
  for (const std::string& item : *items) {
    const auto number = parse_whole_number(item);
    if (!number || *number < 1 || *number > most) return std::nullopt;
    numbers.push_back(static_cast<uint32_t>(*number));
  }
  if (has_twice(numbers)) return std::nullopt;
  return numbers;
}

std::vector<Configuration> combinations(const Lists& lists) {
  std::vector<Configuration> all;
  for (const std::string& model : lists.models)
    for (const std::string& device : or_default(lists.devices))
      for (const std::string& kernels : or_default(lists.kernels))
        for (const std::string& precision : or_default(lists.precisions))
          for (const uint32_t batch : or_default(lists.batches))
            for (const uint32_t threads : or_default(lists.threads))
              all.push_back({model, device, kernels, precision, batch, threads});
  return all;
}

}  // namespace lt::tool
