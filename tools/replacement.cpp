// Keeps the first sentence of what failed: see replacement.h.
#include "tools/replacement.h"

namespace lt::tool {

Replacement::Replacement(const std::string& path) { take(file_.create(path.c_str())); }

bool Replacement::take(Status status) {
  if (!ok(status)) why_ = last_error();
  return good();
}

bool Replacement::write(const uint8_t* bytes, size_t n) { return good() && take(file_.write(bytes, n)); }

bool Replacement::rewrite_head(const uint8_t* bytes, size_t n) { return good() && take(file_.write_at(0, bytes, n)); }

bool Replacement::commit() { return good() && take(file_.commit()); }

}  // namespace lt::tool
