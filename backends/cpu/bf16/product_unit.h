// The two units' inner products, of which product.h chooses: call them only where unit_supported says yes.
#pragma once

#include "backends/cpu/bf16/product.h"

namespace lt::cpu::bf16 {

// AMX. Between begin and end the calling thread has tiles configured, of `rows` rows.
void amx_begin(uint32_t rows);
void amx_end();
void amx_product(const Product& product, uint32_t rows);

// VDPBF16PS: 12 rows times two vectors are 24 sums, beside two vectors of B and one of A.
inline constexpr uint32_t dot_rows_most = 12;
void dot_product(const Product& product, uint32_t rows);

}  // namespace lt::cpu::bf16
