// Threads that decode into a ring of slots: see image_reader.h.
#include "tools/images/image_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "tools/images/resample.h"

namespace lt::tool {
namespace {

bool is_image_name(const std::string& name) {
  const size_t dot = name.find_last_of('.');
  if (dot == std::string::npos || dot == 0) return false;
  std::string suffix = name.substr(dot + 1);
  for (char& c : suffix) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  return suffix == "jpg" || suffix == "jpeg" || suffix == "png";
}

// False with errno set. Calls use(name) for what lies in the folder until that is false.
template <class Use>
bool each_name(const std::string& folder, const Use& use) {
  DIR* const listed = opendir(folder.c_str());
  if (listed == nullptr) return false;
  errno = 0;
  const dirent* entry = nullptr;
  while ((entry = readdir(listed)) != nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !use(name)) break;
    errno = 0;
  }
  const int error = entry == nullptr ? errno : 0;
  closedir(listed);
  errno = error;
  return error == 0;
}

uint32_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint32_t>(std::max(CPU_COUNT(&set), 1));
}

// All of a regular file; `why` is empty where it went well.
void read_file(const std::string& path, std::vector<uint8_t>* bytes, std::string* why) {
  struct stat state {};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe that nobody writes to does not block
  if (fd < 0 || fstat(fd, &state) != 0) {
    *why = std::string("cannot be read: ") + std::strerror(errno);
  } else if (!S_ISREG(state.st_mode)) {
    *why = "is no ordinary file";
  } else if (static_cast<uint64_t>(state.st_size) > ImageReader::file_bytes_most) {
    *why = std::to_string(state.st_size) + " bytes, " + std::to_string(ImageReader::file_bytes_most) + " at most are read";
  } else {
    bytes->resize(static_cast<size_t>(state.st_size));
    size_t at = 0;
    while (at < bytes->size() && why->empty()) {
      const ssize_t got = ::read(fd, bytes->data() + at, bytes->size() - at);
      if (got < 0 && errno != EINTR) *why = std::string("cannot be read: ") + std::strerror(errno);
      if (got == 0) bytes->resize(at);  // it was cut meanwhile: the decoder will say
      if (got > 0) at += static_cast<size_t>(got);
    }
  }
  if (fd >= 0) ::close(fd);
}

}  // namespace

bool holds_images(const std::string& folder) {
  bool found = false;
  each_name(folder, [&found](const std::string& name) { return !(found = is_image_name(name)); });
  return found;
}

bool ImageReader::list(std::string* why) {
  const bool listed = each_name(options_.folder, [this](const std::string& name) {
    is_image_name(name) ? names_.push_back(name) : void(++others_);
    return names_.size() <= files_most;
  });
  if (!listed) {
    *why = options_.folder + ": cannot be listed: " + std::strerror(errno);
  } else if (names_.empty()) {
    *why = options_.folder + ": holds no .jpg, .jpeg or .png file; folders in it are not looked into";
  } else if (names_.size() > files_most) {
    *why = options_.folder + ": holds more than " + std::to_string(files_most) + " images; divide it into several folders";
  } else {
    std::sort(names_.begin(), names_.end());  // compares bytes, without regard to the locale
    return true;
  }
  return false;
}

bool ImageReader::open(const ImageOptions& options, std::string* why) {
  options_ = options;
  if (!list(why)) return false;
  slots_.resize(std::min<size_t>(std::max(options_.ahead, 1u), names_.size()));
  for (Slot& slot : slots_) slot.pixels.resize(size_t{options_.channels} * options_.side * options_.side);
  const uint32_t wanted = options_.threads != 0 ? options_.threads : usable_processors();
  const size_t count = std::min<size_t>(wanted, slots_.size());
  for (size_t i = 0; i < count; ++i) threads_.emplace_back([this] { decode_all(); });
  return true;
}

ImageReader::~ImageReader() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ImageReader::decode_all() {
  Resampler resampler(options_.side, options_.shorter_side, options_.channels);
  std::vector<uint8_t> bytes, scratch;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || claimed_ == names_.size() || claimed_ < taken_ + slots_.size(); });
    if (closing_ || claimed_ == names_.size()) return;
    const size_t index = claimed_++;
    Slot& slot = slots_[index % slots_.size()];
    lock.unlock();
    std::string why;
    try {
      read_file(options_.folder + "/" + names_[index], &bytes, &why);
      if (why.empty() && decode_image(bytes.data(), bytes.size(), &resampler, &scratch, &why))
        resampler.finish(slot.pixels.data());
    } catch (const std::bad_alloc&) {
      why = "the system refused memory for it";
    }
    lock.lock();
    slot.why = why;
    slot.done = true;
    changed_.notify_all();
  }
}

bool ImageReader::next(uint32_t n, uint8_t* x, uint32_t* got, std::string* why) {
  *got = 0;
  for (; *got < n && taken_ < names_.size();) {
    Slot& slot = slots_[taken_ % slots_.size()];
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&slot] { return slot.done; });
    lock.unlock();
    const std::string& name = names_[taken_];
    if (!slot.why.empty() && !options_.skip_bad) {
      *why = options_.folder + "/" + name + ": " + slot.why;
      return false;
    }
    if (slot.why.empty()) {
      std::memcpy(x + *got * slot.pixels.size(), slot.pixels.data(), slot.pixels.size());
      given_.push_back(name);
      ++*got;
    } else {
      bad_.push_back({name, slot.why});
    }
    lock.lock();
    slot.done = false;
    ++taken_;
    lock.unlock();
    changed_.notify_all();
  }
  return true;
}

}  // namespace lt::tool
