// Memory that a kernel will want soon, brought near in small slices between its products. Tiles of an image take their
// pixels from several rows at a time, which processors do not foresee; all at once, the fetches would wait for one another
// (a core has room for 16 or so). Pointers into the caller's tensors; each thread has its own.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lt::cpu::highway {

// A slice that a loop fetches as it goes: `Lines` lines a step, from `from` on, which then moves by `step` bytes, at most
// so many lines.
template <uint32_t Lines>
struct FetchSlice {
  const char* from;
  uint64_t step;
  void fetch() {
    for (uint32_t i = 0; i < Lines; ++i) __builtin_prefetch(from + i * 64, 0, 2);
    from += step;
  }
};

class FetchAhead {
 public:
  // The rows [first_row, end_row) of images of `rows` rows, of the samples [first_sample, last_sample]; the first row is of
  // the first sample, the last of the last one. Rows may lie outside.
  template <class T>
  void add(const T* samples, uint64_t row_elements, uint32_t rows, uint32_t first_sample, int32_t first_row,
           uint32_t last_sample, int32_t end_row) {
    const auto at = [&](uint32_t sample, int32_t row) {
      const uint64_t inside = static_cast<uint64_t>(std::clamp<int64_t>(row, 0, rows));
      return reinterpret_cast<const char*>(samples + (uint64_t{sample} * rows + inside) * row_elements);
    };
    const char* const begin = at(first_sample, first_row);
    const uint64_t lines = (static_cast<uint64_t>(at(last_sample, end_row) - begin) + line - 1) / line;
    ranges_[count_++] = {begin, lines};
    lines_ += lines;
  }
  // Cuts all of it into `slices` slices.
  void cut(uint64_t slices) { slice_ = slices == 0 ? lines_ : (lines_ + slices - 1) / slices; }
  // The next slice, into the second cache.
  void fetch() {
    for (uint64_t left = slice_; left != 0 && next_ < count_;) {
      Range& range = ranges_[next_];
      const uint64_t lines = std::min(left, range.lines);
      for (uint64_t i = 0; i < lines; ++i) __builtin_prefetch(range.from + i * line, 0, 2);
      range.from += lines * line;
      range.lines -= lines;
      left -= lines;
      if (range.lines == 0) ++next_;
    }
  }
  // The next slice for a loop of so many steps, all of one range; what is left over at the end is not fetched.
  template <uint32_t Lines>
  FetchSlice<Lines> slice(uint32_t steps) {
    if (next_ == count_ || slice_ == 0) return {reinterpret_cast<const char*>(this), 0};
    Range& range = ranges_[next_];
    const uint64_t lines = std::min({slice_, range.lines, uint64_t{Lines} * steps});
    const FetchSlice<Lines> result{range.from, lines * line / steps};
    range.from += lines * line;
    range.lines -= lines;
    if (range.lines == 0) ++next_;
    return result;
  }

 private:
  static constexpr uint64_t line = 64;
  struct Range {
    const char* from;
    uint64_t lines;
  };
  Range ranges_[4];
  uint32_t count_ = 0, next_ = 0;
  uint64_t lines_ = 0, slice_ = 0;
};

}  // namespace lt::cpu::highway
