// See launch.h: the list of kernels, the options, and what a launch is held against before it runs.
#include "tests/cuda/emulation/launch.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "tests/cuda/emulation/kernel.h"
#include "tests/cuda/emulation/scheduler.h"

namespace emulation {
namespace {

std::vector<Kernel>& listed() {
  static std::vector<Kernel> kernels;
  return kernels;
}

Options options_of_environment() {
  Options o;
  const char* order = std::getenv("EMULATION_ORDER");
  for (const Order candidate : {Order::forward, Order::reversed, Order::random, Order::eager})
    if (order != nullptr && std::strcmp(order, order_name(candidate)) == 0) o.order = candidate;
  if (const char* seed = std::getenv("EMULATION_SEED")) o.seed = static_cast<unsigned>(std::atoi(seed));
  const char* poison = std::getenv("EMULATION_POISON");
  if (poison != nullptr && std::strcmp(poison, "large") == 0) o.poison = Poison::large;
  return o;
}

std::string sentence(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string sentence(const char* format, ...) {
  char text[256];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return text;
}

std::string refusal(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, uint32_t cluster) {
  if (threads == 0 || threads > most_threads || threads > kernel.max_threads)
    return sentence("%s: %u threads a block, the kernel takes 1 to %u", kernel.name, threads, kernel.max_threads);
  if (grid.x == 0 || grid.x > 0x7fffffffu || grid.y == 0 || grid.y > 65535 || grid.z == 0 || grid.z > 65535)
    return sentence("%s: a grid of %u x %u x %u blocks, the most are 2147483647 x 65535 x 65535 and the least 1",
                    kernel.name, grid.x, grid.y, grid.z);
  if (shared_bytes > most_shared_bytes)
    return sentence("%s: %u bytes of shared memory a block, the most are %u", kernel.name, shared_bytes, most_shared_bytes);
  if (cluster == 0 || cluster > most_blocks_of_cluster || grid.x % cluster != 0)
    return sentence("%s: clusters of %u blocks in a grid %u wide, they are 1 to %u and divide it", kernel.name, cluster,
                    grid.x, most_blocks_of_cluster);
  return {};
}

}  // namespace

Registration::Registration(const Kernel& kernel) {
  if (find(kernel.name) != nullptr) {
    std::fprintf(stderr, "emulation: two kernels are called %s\n", kernel.name);
    std::abort();
  }
  listed().push_back(kernel);
}

const Kernel* find(const char* name) {
  for (const Kernel& kernel : listed())
    if (std::strcmp(kernel.name, name) == 0) return &kernel;
  return nullptr;
}

std::vector<const Kernel*> kernels() {
  std::vector<const Kernel*> all;
  for (const Kernel& kernel : listed()) all.push_back(&kernel);
  return all;
}

std::string launch(const Kernel& kernel, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                   uint32_t cluster) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  std::string refused = refusal(kernel, grid, threads, shared_bytes, cluster);
  if (!refused.empty()) return refused;
  std::string error = run_blocks(kernel, grid, threads, shared_bytes, arguments, cluster);
  return error.empty() ? error : std::string(kernel.name) + ": " + error + " (" + describe_options() + ")";
}

std::string launch(const char* name, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments,
                   uint32_t cluster) {
  const Kernel* kernel = find(name);
  if (kernel == nullptr) return std::string("there is no kernel called ") + name;
  return launch(*kernel, grid, threads, shared_bytes, arguments, cluster);
}

const char* order_name(Order order) {
  switch (order) {
    case Order::forward: return "forward";
    case Order::reversed: return "reversed";
    case Order::random: return "random";
    case Order::eager: return "eager";
  }
  return "?";
}

Options& options() {
  static Options current = options_of_environment();
  return current;
}

void for_each_order(const std::function<void()>& run, unsigned seeds) {
  const Options before = options();
  const auto with = [&](Order order, unsigned seed) {
    for (const Poison poison : {Poison::nan, Poison::large}) {
      options() = {order, seed, poison};
      run();
    }
  };
  with(Order::forward, 1);
  with(Order::reversed, 1);
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    with(Order::random, seed);
    with(Order::eager, seed);
  }
  options() = before;
}

std::string describe_options() {
  const Options& o = options();
  return sentence("%s order, seed %u, poison %02x", order_name(o.order), o.seed, static_cast<unsigned>(o.poison));
}

Statistics statistics() { return counted(); }

}  // namespace emulation
