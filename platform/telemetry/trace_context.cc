#include "platform/telemetry/trace_context.h"

#include <algorithm>
#include <cstring>

namespace starling::telemetry {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

// Eight characters as one integer, the first in the most significant byte.
uint64_t LoadEight(const char* at) {
  uint64_t bytes;
  std::memcpy(&bytes, at, 8);
  return __builtin_bswap64(bytes);
}

// Eight digits at once: adding a constant to each byte carries into its high bit where the byte is
// not below a bound. Adds to `invalid` a bit for each byte that is no lower-case hex digit.
uint64_t ReadEightDigits(const char* at, uint64_t& invalid) {
  const uint64_t text = LoadEight(at);
  const uint64_t ascii = text & ~kHighBits;
  const uint64_t digit =
      (ascii + kOnes * (0x80 - '0')) & ~(ascii + kOnes * (0x80 - '9' - 1)) & kHighBits;
  const uint64_t letter =
      (ascii + kOnes * (0x80 - 'a')) & ~(ascii + kOnes * (0x80 - 'f' - 1)) & kHighBits;
  invalid |= (text & kHighBits) | ((digit | letter) ^ kHighBits);
  uint64_t nibbles = (ascii & (kOnes * 0x0f)) + (letter >> 7) * 9;
  nibbles = (nibbles | nibbles >> 4) & 0x00ff00ff00ff00ff;
  nibbles = (nibbles | nibbles >> 8) & 0x0000ffff0000ffff;
  return (nibbles | nibbles >> 16) & 0xffffffff;
}

uint64_t ReadSixteenDigits(const char* at, uint64_t& invalid) {
  const uint64_t high = ReadEightDigits(at, invalid);
  return high << 32 | ReadEightDigits(at + 8, invalid);
}

// Two digits; above 255 when they are none.
unsigned ReadTwoDigits(const char* at) {
  unsigned value = 0;
  for (int i = 0; i < 2; ++i) {
    const char c = at[i];
    if (c >= '0' && c <= '9') {
      value = value << 4 | static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | static_cast<unsigned>(c - 'a' + 10);
    } else {
      return 256;
    }
  }
  return value;
}

void WriteEightDigits(uint32_t value, char* out) {
  uint64_t nibbles = value;
  nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffff;
  nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ff;
  nibbles = (nibbles | nibbles << 4) & 0x0f0f0f0f0f0f0f0f;
  const uint64_t letter = ((nibbles + kOnes * 6) >> 4) & kOnes;
  const uint64_t text = __builtin_bswap64(nibbles + kOnes * '0' + letter * ('a' - '9' - 1));
  std::memcpy(out, &text, 8);
}

void WriteSixteenDigits(uint64_t value, char* out) {
  WriteEightDigits(static_cast<uint32_t>(value >> 32), out);
  WriteEightDigits(static_cast<uint32_t>(value), out + 8);
}

}  // namespace

std::optional<TraceContext> TraceContext::Parse(std::string_view text) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const unsigned version = ReadTwoDigits(text.data());
  const unsigned flags = ReadTwoDigits(text.data() + 53);
  if (version >= 0xff || flags > 0xff) return std::nullopt;
  if (text.size() > 55 && (version == 0 || text[55] != '-')) return std::nullopt;
  uint64_t invalid = 0;
  TraceContext context;
  context.trace_high = ReadSixteenDigits(text.data() + 3, invalid);
  context.trace_low = ReadSixteenDigits(text.data() + 19, invalid);
  context.span_id = ReadSixteenDigits(text.data() + 36, invalid);
  context.sampled = (flags & 1) != 0;
  if (invalid != 0 || !context.valid()) return std::nullopt;
  return context;
}

FixedText<55> TraceContext::TraceparentText() const {
  FixedText<55> text;
  char* out = text.characters.data();
  std::copy_n("00-", 3, out);
  WriteSixteenDigits(trace_high, out + 3);
  WriteSixteenDigits(trace_low, out + 19);
  out[35] = '-';
  WriteSixteenDigits(span_id, out + 36);
  std::copy_n(sampled ? "-01" : "-00", 3, out + 52);
  return text;
}

std::string TraceContext::ToTraceparent() const {
  return valid() ? std::string(TraceparentText().view()) : std::string();
}

std::string TraceContext::TraceIdHex() const {
  std::string text(32, '0');
  WriteSixteenDigits(trace_high, text.data());
  WriteSixteenDigits(trace_low, text.data() + 16);
  return text;
}

std::string TraceContext::SpanIdHex() const {
  std::string text(16, '0');
  WriteSixteenDigits(span_id, text.data());
  return text;
}

}  // namespace starling::telemetry
