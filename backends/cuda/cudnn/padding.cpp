// See padding.h and kernels/pad.h.
#include "backends/cuda/cudnn/padding.h"

#include "backends/cuda/kernels/pad.h"

namespace lt::cuda {
namespace {

template <KernelId id>
Status copy(const Launcher& launcher, const ChannelRows& from, const ChannelRows& to, bool accumulate) {
  const PadChannelsArguments arguments = {from.data,     to.data,     from.rows,           to.rows,
                                          from.channels, to.channels, accumulate ? 1u : 0u};
  const auto blocks = static_cast<uint32_t>((to.rows + pad_block_rows - 1) / pad_block_rows);
  return launcher.launch<id>({blocks}, pad_threads, arguments);
}

}  // namespace

uint32_t padded_channels(uint32_t channels, Precision precision) {
  if (precision == Precision::fp32) return channels;
  const uint32_t whole = pad_bytes / dtype_bytes(precision == Precision::bf16 ? DType::bf16 : DType::f32);
  return (channels + whole - 1) / whole * whole;
}

Status enqueue_pad_channels(const Launcher& launcher, DType type, const ChannelRows& from, const ChannelRows& to) {
  return type == DType::bf16 ? copy<KernelId::pad_channels_bf16>(launcher, from, to, false)
                             : copy<KernelId::pad_channels_f32>(launcher, from, to, false);
}

Status enqueue_unpad_channels(const Launcher& launcher, DType from_type, const ChannelRows& from, DType to_type,
                              const ChannelRows& to, bool accumulate) {
  if (from_type == DType::f32) return copy<KernelId::unpad_channels_f32>(launcher, from, to, accumulate);
  return to_type == DType::f32 ? copy<KernelId::widen_channels>(launcher, from, to, accumulate)
                               : copy<KernelId::unpad_channels_bf16>(launcher, from, to, false);
}

}  // namespace lt::cuda
