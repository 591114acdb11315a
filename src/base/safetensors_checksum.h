// The checksum of safetensors files that a training writes: "checksum": "xxh3-128:" and 32 hex digits in the metadata, over
// all bytes of the file, its header too, with zeros ('0') for those digits. In Python:
//
//   data = open(F, "rb").read(); at = data.index(b'"checksum":"xxh3-128:') + 21
//   xxhash.xxh3_128_hexdigest(data[:at] + b"0" * 32 + data[at + 32:]) == data[at:at + 32].decode()
#pragma once

#include "src/base/digest.h"
#include "src/base/safetensors.h"
#include "src/base/status.h"

namespace lt {

// As it stands in a header, in front of the digits.
inline constexpr char checksum_key[] = "\"checksum\":\"xxh3-128:";

// Status::format where the file's bytes are not those that were written; `present` says whether it carries a checksum at
// all. Reads the whole file; allocates nothing.
Status safetensors_check(const SafetensorsReader& reader, bool* present);

}  // namespace lt
