// The images of a folder, one after the other, as a network takes them: decoded and resampled by threads of the reader's
// own, ahead of whoever asks for them. Pixels are bytes as in the files: a recipe's [input] says how they are scaled (for
// networks trained on ImageNet scale 1/255, mean [0.485, 0.456, 0.406], deviation [0.229, 0.224, 0.225]).
//
// Order: the files NAME.jpg, .jpeg and .png (in any case) that lie in the folder itself, in byte order of their names,
// whatever the number of threads. Other files are counted and left out.
//
// Threads: `threads` of them decode, until the last image is done or the reader goes; `next` is for one thread at a time.
//
// Memory: `ahead` images of channels * side * side bytes; for each thread its file's bytes (file_bytes_most at most), what
// the decoder may reserve (decode.h) and some rows (resample.h); and the names.
//
// A file that is broken, or gone since the folder was listed, ends the reading, or is left out and listed (`skip_bad`).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lt::tool {

struct ImageOptions {
  std::string folder;
  uint32_t side = 224, shorter_side = 256;  // shorter_side >= side
  uint32_t channels = 3;                    // 3: red, green, blue; 1: grey
  uint32_t threads = 0;                     // 0: as many as this process may use
  uint32_t ahead = 64;
  bool skip_bad = false;
};

struct BadImage {
  std::string name, why;
};

// Whether a folder has files that an ImageReader takes.
bool holds_images(const std::string& folder);

class ImageReader {
 public:
  static constexpr uint64_t file_bytes_most = 256u << 20, files_most = 1u << 24;

  ImageReader() = default;
  ~ImageReader();
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  // Lists the folder and starts the threads. False, with a sentence, where it cannot be read or holds no images.
  bool open(const ImageOptions& options, std::string* why);
  // All of the folder's, bad ones included; how much else lies there.
  const std::vector<std::string>& names() const { return names_; }
  // That decode.
  size_t threads() const { return threads_.size(); }
  uint64_t others() const { return others_; }

  // Copies the next images, `n` or as many as there still are, to x: [image][channel][row][column] bytes. `got` is 0 at the
  // end. False at a bad image where none is to be skipped: the sentence names it, and `got` counts the images before it.
  bool next(uint32_t n, uint8_t* x, uint32_t* got, std::string* why);
  // What was handed out so far, in order; what was left out.
  const std::vector<std::string>& given() const { return given_; }
  const std::vector<BadImage>& bad() const { return bad_; }

 private:
  struct Slot {
    std::vector<uint8_t> pixels;
    std::string why;  // not empty: bad
    bool done = false;
  };
  bool list(std::string* why);
  void decode_all();

  ImageOptions options_;
  std::vector<std::string> names_, given_;
  std::vector<BadImage> bad_;
  uint64_t others_ = 0;

  std::vector<std::thread> threads_;
  std::vector<Slot> slots_;  // image i in slot i % slots
  std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex: images given to threads; images handed out or left out, whose slots are free again.
  size_t claimed_ = 0, taken_ = 0;
  bool closing_ = false;
};

}  // namespace lt::tool
