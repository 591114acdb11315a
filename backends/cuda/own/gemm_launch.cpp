// Puts a product's launches on a stream. See gemm.h.
#include <array>
#include <utility>

#include "backends/cuda/own/gemm.h"

namespace lt::cuda {
namespace {

constexpr auto first_kernel = static_cast<size_t>(KernelId::gemm_forward_f32_128x64);
constexpr size_t kernel_count = static_cast<size_t>(KernelId::gemm_forward_int8_64x32) - first_kernel + 1;

using Launch = Status (*)(const Launcher&, Grid, const GemmArguments&);
template <KernelId id>
Status launch_gemm(const Launcher& launcher, Grid grid, const GemmArguments& arguments) {
  return launcher.launch<id>(grid, gemm_threads, arguments);
}
template <size_t... index>
constexpr std::array<Launch, kernel_count> gemm_launches(std::index_sequence<index...>) {
  return {launch_gemm<static_cast<KernelId>(first_kernel + index)>...};
}

}  // namespace

Status enqueue_gemm(const Launcher& launcher, const GemmCall& call) {
  static constexpr auto launches = gemm_launches(std::make_index_sequence<kernel_count>());
  LT_TRY(launches[static_cast<size_t>(call.kernel) - first_kernel](launcher, call.grid, call.arguments));
  if (call.reduce_blocks == 0) return Status::ok;
  return launcher.launch<KernelId::gemm_reduce>({call.reduce_blocks, 1, 1}, gemm_reduce_threads, call.reduce);
}

}  // namespace lt::cuda
