// A curve in one line of text, in memory of a fixed size: values are gathered into columns, and when all columns are full,
// every two neighbours become one and from there on each column holds twice as many. Nothing here allocates. One thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lt::tool {

class Sparkline {
 public:
  static constexpr size_t columns_most = 32;
  static constexpr size_t bytes_most = 3 * columns_most + 1;  // of the text, its zero included

  // One value; one that is not finite is left out.
  void add(double value);
  // Columns that there is something to draw in so far.
  size_t columns() const { return full_ + (gathered_ != 0 ? 1 : 0); }
  // The means in `columns` columns or fewer, from the least, U+2581, to the largest, U+2588, as UTF-8; with fewer columns
  // than there are, neighbours are drawn as one. Returns how many columns it has.
  size_t draw(size_t columns, char text[bytes_most]) const;

 private:
  double mean_of(size_t first, size_t last) const;

  double sums_[columns_most] = {};
  size_t full_ = 0;
  uint64_t each_ = 1, gathered_ = 0;  // values of a full column; of the one that is being filled
};

}  // namespace lt::tool
