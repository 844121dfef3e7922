// Where the next delimiter or newline is: 64 bytes at a time into a bit mask, then bit by bit.
//
//   DelimiterScan scan(',');
//   scan.Begin(text);                   // 64 readable bytes must stand behind what is looked at
//   const char* at = scan.Next(end);    // the next ',' or '\n' before end, or end
//
// A field of ten bytes costs about a nanosecond: the mask is made once for all fields of a block.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace starling::tabular {

class DelimiterScan {
 public:
  explicit DelimiterScan(char delimiter) : delimiter_(delimiter) {}

  void Begin(const char* text) {
    block_ = text;
    mask_ = Mask(text);
  }
  const char* Next(const char* end) {
    while (mask_ == 0) {
      block_ += 64;
      if (block_ >= end) {
        // Stays before the next block, which another call may reach with a later end.
        block_ -= 64;
        return end;
      }
      mask_ = Mask(block_);
    }
    const char* const at = block_ + std::countr_zero(mask_);
    if (at >= end) return end;
    mask_ &= mask_ - 1;
    return at;
  }

 private:
#if defined(__SSE2__)
  uint64_t Mask(const char* text) const {
    const __m128i delimiter = _mm_set1_epi8(delimiter_);
    const __m128i newline = _mm_set1_epi8('\n');
    uint64_t mask = 0;
    for (size_t part = 0; part < 4; ++part) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * part));
      const __m128i found =
          _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiter), _mm_cmpeq_epi8(bytes, newline));
      mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(found))) << (16 * part);
    }
    return mask;
  }
#else
  uint64_t Mask(const char* text) const {
    uint64_t mask = 0;
    for (int bit = 0; bit < 64; ++bit) {
      mask |= static_cast<uint64_t>(text[bit] == delimiter_ || text[bit] == '\n') << bit;
    }
    return mask;
  }
#endif

  char delimiter_;
  const char* block_ = nullptr;
  uint64_t mask_ = 0;
};

}  // namespace starling::tabular
