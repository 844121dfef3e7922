// Looks at eight bytes of a text at a time, in a 64-bit word: for what is done to each byte of each
// request (Hacker's Delight, 6-1). At -O2 GCC 12 makes no vectors of loops over bytes.
//
//   const bool breaks = AnyWord(text, [](uint64_t word) {
//     return BytesEqual(word, '\r') | BytesEqual(word, '\n');
//   });
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace starling {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t EachByte(uint8_t byte) { return 0x0101010101010101u * byte; }
constexpr uint64_t kHighBits = EachByte(0x80);

// What follows is not 0 when a byte of the word is so.
constexpr uint64_t BytesBelow(uint64_t word, uint8_t most) {  // most <= 128
  return (word - EachByte(most)) & ~word & kHighBits;
}
constexpr uint64_t BytesEqual(uint64_t word, uint8_t byte) {
  return BytesBelow(word ^ EachByte(byte), 1);
}
constexpr uint64_t BytesAbove127(uint64_t word) { return word & kHighBits; }

// ASCII letters in lower case; all else as it is.
constexpr uint64_t LowerWord(uint64_t word) {
  const uint64_t low = word & ~kHighBits;
  const uint64_t upper = (low + EachByte(0x80 - 'A')) & ~(low + EachByte(0x80 - 'Z' - 1));
  return word | ((upper & ~word & kHighBits) >> 2);
}

inline uint64_t WordAt(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// 1 to 7 bytes; the bytes beyond are some of them again.
inline uint64_t ShortWord(const char* bytes, size_t size) {
  if (size >= 4) {
    uint32_t first, last;
    std::memcpy(&first, bytes, 4);
    std::memcpy(&last, bytes + size - 4, 4);
    return first | uint64_t{last} << 32;
  }
  uint64_t word = 0;
  const auto at = [bytes](size_t i) { return uint64_t{static_cast<uint8_t>(bytes[i])}; };
  word = at(0) * 0x0101010101010101u;
  word ^= (at(0) ^ at(size / 2)) << 8;
  word ^= (at(0) ^ at(size - 1)) << 16;
  return word;
}

// Whether `found` says so (not 0) of any eight bytes that follow each other in the text; of a text
// that is no multiple of eight long some bytes are shown twice.
template <typename Found>
bool AnyWord(std::string_view text, Found found) {
  const char* const bytes = text.data();
  const size_t size = text.size();
  if (size < 8) return size != 0 && found(ShortWord(bytes, size)) != 0;
  for (size_t at = 0; at + 8 < size; at += 8) {
    if (found(WordAt(bytes + at)) != 0) return true;
  }
  return found(WordAt(bytes + size - 8)) != 0;
}

}  // namespace starling
