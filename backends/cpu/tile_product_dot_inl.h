// A TileProduct in AVX-512 registers, by an instruction that multiplies neighbours in k and adds them to a sum: included
// once by a unit's file, between its LT_BEGIN_... and LT_END_TARGET. For each step in k one vector a block of B is loaded,
// and the neighbours of each row of A are broadcast from memory.
#pragma once

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "backends/cpu/tile_product.h"

namespace lt::cpu {
namespace {

constexpr uint32_t steps_of_a_chunk = 16, dot_block_columns = 16;

// Four bytes, in every lane.
inline __m512i broadcast_neighbours(const void* from) {
  int32_t numbers;
  std::memcpy(&numbers, from, sizeof numbers);
  return _mm512_set1_epi32(numbers);
}

// Dot::Sums and Dot::Numbers are vectors of sums, and of what is multiplied: zero(), load_sums(), store_sums(), numbers()
// of 512 bits, multiply_add(sums, left, right).
template <class Dot, uint32_t Columns, uint32_t Rows, class A, class B, class C>
void product_of(const TileProduct<A, B, C>& p, const A* a, C* c) {
  constexpr uint32_t neighbours = 4 / sizeof(A);
  typename Dot::Sums sums[Rows][Columns];
#pragma GCC unroll 12
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      sums[row][column] = p.accumulate ? Dot::load_sums(c + row * p.c_row + column * dot_block_columns) : Dot::zero();
  const uint64_t a_row = p.a_row;
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const A* from = a + segment * p.a_segment;
    const B* b = p.b + segment * p.b_segment;
    for (uint32_t step = 0; step < p.chunks * steps_of_a_chunk;
         ++step, from += neighbours, b += neighbours * dot_block_columns) {
      typename Dot::Numbers right[Columns];
#pragma GCC unroll 2
      for (uint32_t column = 0; column < Columns; ++column)
        right[column] = Dot::numbers(_mm512_loadu_si512(b + column * p.b_columns));
#pragma GCC unroll 12
      for (uint32_t row = 0; row < Rows; ++row) {
        const typename Dot::Numbers left = Dot::numbers(broadcast_neighbours(from + row * a_row));
#pragma GCC unroll 2
        for (uint32_t column = 0; column < Columns; ++column)
          sums[row][column] = Dot::multiply_add(sums[row][column], left, right[column]);
      }
    }
  }
#pragma GCC unroll 12
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      Dot::store_sums(c + row * p.c_row + column * dot_block_columns, sums[row][column]);
}

template <class A, class B, class C>
using DotInner = void(const TileProduct<A, B, C>&, const A*, C*);

template <class Dot, uint32_t Columns, class A, class B, class C, uint32_t... Rows>
inline DotInner<A, B, C>* inner_of(uint32_t rows, std::integer_sequence<uint32_t, Rows...>) {
  static constexpr DotInner<A, B, C>* table[] = {product_of<Dot, Columns, Rows + 1, A, B, C>...};
  return table[rows - 1];
}

// Of `rows` rows, at most RowsMost, with as many blocks of columns as the product says.
template <class Dot, uint32_t RowsMost, class A, class B, class C>
inline DotInner<A, B, C>* dot_inner(const TileProduct<A, B, C>& p, uint32_t rows) {
  constexpr auto all = std::make_integer_sequence<uint32_t, RowsMost>();
  return p.columns == 2 ? inner_of<Dot, 2, A, B, C>(rows, all) : inner_of<Dot, 1, A, B, C>(rows, all);
}

}  // namespace
}  // namespace lt::cpu
