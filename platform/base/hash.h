// Checksums and hashes whose values are stable across processes, machines and versions.
//
// Crc32c guards bytes on disk (RFC 3720, Castagnoli polynomial; about 10 GB/s with SSE4.2, a table
// elsewhere). Hash64 spreads keys over partitions and makes ETags (about 1 ns for short keys).
// Neither resists an adversary.
#pragma once

#include <cstdint>
#include <string_view>

namespace starling {

// crc is that of the bytes before, to go on with.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);
uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

}  // namespace starling
