// Reads the golden files: safetensors (an 8-byte little-endian header length, a JSON header, the tensors' bytes). Written
// for files of our own tree: a broken one is an exception, and so a failed test.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace lt::test {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    uint64_t header_bytes = 0;
    if (all.size() < 8) throw std::runtime_error(path + ": no golden file");
    std::memcpy(&header_bytes, all.data(), 8);
    header_ = nlohmann::json::parse(all.substr(8, header_bytes));
    bytes_ = all.substr(8 + header_bytes);
  }

  std::string metadata(const char* key) const { return header_.at("__metadata__").at(key); }
  bool has(const std::string& name) const { return header_.contains(name); }
  std::vector<uint64_t> shape(const std::string& name) const { return header_.at(name).at("shape"); }

  template <class T>
  std::vector<T> read(const std::string& name) const {
    static const std::map<std::string, size_t> sizes = {{"U8", 1}, {"I32", 4}, {"F32", 4}, {"F64", 8}};
    const nlohmann::json& entry = header_.at(name);
    const std::vector<uint64_t> offsets = entry.at("data_offsets");
    if (sizes.at(entry.at("dtype")) != sizeof(T)) throw std::runtime_error(name + " has another type");
    std::vector<T> values((offsets.at(1) - offsets.at(0)) / sizeof(T));
    std::memcpy(values.data(), bytes_.data() + offsets[0], values.size() * sizeof(T));
    return values;
  }

  // The parameters, by their PyTorch names.
  std::vector<std::string> parameters() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : header_.items())
      if (name.rfind("initial/", 0) == 0) names.push_back(name.substr(8));
    return names;
  }

 private:
  nlohmann::json header_;
  std::string bytes_;
};

}  // namespace lt::test
