// What the fuzz targets share. A target is one function, LLVMFuzzerTestOneInput, that libFuzzer calls with bytes of its own
// choice, on one thread: nothing may crash, leak or be read past its end, and whatever was read has to hold together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace lt::fuzz {

// What was promised does not hold: ends the process in a way that libFuzzer takes for a find.
inline void expect(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// A folder of this process, for parsers that take paths. It lies where memory is files, if anywhere.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    name += "/lean-train-fuzz-XXXXXX";
    expect(mkdtemp(name.data()) != nullptr, "a folder for files can be made");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  std::string write(const char* name, const uint8_t* bytes, size_t size) const {
    std::string path = file(name);
    std::FILE* const stream = std::fopen(path.c_str(), "wb");
    expect(stream != nullptr && std::fwrite(bytes, 1, size, stream) == size && std::fclose(stream) == 0,
           "files can be written");
    return path;
  }

 private:
  std::string path_;
};

}  // namespace lt::fuzz
