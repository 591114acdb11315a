// Matrices of bfloat16 brought into the forms that product.h multiplies. Sources and results lie in the caller's memory and
// do not overlap; nothing past a source's last element is read. Any thread may call. Only where
// unit_supported(avx512_bf16).
#pragma once

#include <cstdint>

#include "backends/cpu/bf16/unit.h"

namespace lt::cpu::bf16 {

constexpr uint32_t chunks_of(uint64_t k) { return static_cast<uint32_t>((k + block_depth - 1) / block_depth); }
constexpr uint32_t blocks_of(uint64_t n) { return static_cast<uint32_t>((n + block_columns - 1) / block_columns); }

// A matrix in memory: rows, `row` elements apart.
struct Matrix {
  const uint16_t* first;
  uint64_t row;
  uint32_t rows, columns;
};

// B in blocks, from B itself (rows are k) or from its transpose (columns are k). The block of columns i, chunk j goes to
// to + i * block_step + j * block_elements; what is past the matrix is 0.
void pack_rows(const Matrix& from, uint64_t block_step, uint16_t* to);
void pack_columns(const Matrix& from, uint64_t block_step, uint16_t* to);

// to[column][row]: its rows are to_row elements apart; filled up with zeros to whole chunks, or exactly `kept` of each, no
// more than from.rows.
void transpose(const Matrix& from, uint64_t to_row, uint16_t* to);
void transpose(const Matrix& from, uint64_t to_row, uint32_t kept, uint16_t* to);

// to[row][column]: its rows are filled up with zeros to whole chunks, which lie one behind the other.
void pad_rows(const Matrix& from, uint16_t* to);

}  // namespace lt::cpu::bf16
