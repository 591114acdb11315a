// Which instructions multiply bytes here, found at run time. Any thread may ask.
#pragma once

#include <cstdint>

namespace lt::cpu::int8 {

enum class Unit : uint8_t {
  portable,     // 16-bit products in pairs, by Highway: any processor
  avx512_vnni,  // VPDPBUSD: a 512-bit vector of 16 sums, each of four products (Cascade Lake, Zen 4 and later)
  amx,          // TDPBUSD: a tile of 16 x 16 sums, each of 64 products (Sapphire Rapids and later)
};

bool unit_supported(Unit unit);
Unit unit_best();
const char* unit_name(Unit unit);  // "AVX512_VNNI", "AMX"; "" for portable

// The size of the blocks that all units' products are made of: bytes of k by outputs; see product.h.
inline constexpr uint32_t block_depth = 64, block_columns = 16;
inline constexpr uint32_t block_bytes = block_depth * block_columns;
inline constexpr uint32_t tile_rows_most = 16;

}  // namespace lt::cpu::int8
