// Which trainings `bench` measures: every combination of the lists that its options hold. Set-up only; plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lt::tool {

// One of them. Empty and 0 mean the recipe's or the library's own choice, as in lt_config.
struct Configuration {
  std::string model;  // a built-in recipe's name
  std::string device, kernels, precision;
  uint32_t batch = 0, threads = 0;
};

// Empty lists: the one default.
struct Lists {
  std::vector<std::string> models, devices, kernels, precisions;
  std::vector<uint32_t> batches, threads;
};

// The items between the commas; nothing where there is none, or one is empty or stands twice.
std::optional<std::vector<std::string>> split_list(std::string_view text);
// The same of whole numbers from 1 to `most`, compared as numbers.
std::optional<std::vector<uint32_t>> split_numbers(std::string_view text, uint32_t most);

// Every combination; of neighbours the later lists' items differ first: model, device, kernels, precision, batch, threads.
std::vector<Configuration> combinations(const Lists& lists);

}  // namespace lt::tool
