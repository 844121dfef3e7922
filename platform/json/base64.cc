#include "platform/json/base64.h"

#include <array>
#include <cstdint>

namespace starling::json {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr int8_t kInvalid = -1;

constexpr std::array<int8_t, 256> ValuesOf(char sixty_two, char sixty_three) {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = kInvalid;
  for (int8_t i = 0; i < 62; ++i) values[static_cast<unsigned char>(kAlphabet[i])] = i;
  values[static_cast<unsigned char>(sixty_two)] = 62;
  values[static_cast<unsigned char>(sixty_three)] = 63;
  return values;
}
constexpr std::array<int8_t, 256> kStandard = ValuesOf('+', '/');
constexpr std::array<int8_t, 256> kUrlSafe = ValuesOf('-', '_');

}  // namespace

char* EncodeBase64(std::string_view bytes, char* out) {
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; left -= 3, in += 3) {
    const uint32_t bits = uint32_t{in[0]} << 16 | uint32_t{in[1]} << 8 | in[2];
    *out++ = kAlphabet[bits >> 18];
    *out++ = kAlphabet[bits >> 12 & 63];
    *out++ = kAlphabet[bits >> 6 & 63];
    *out++ = kAlphabet[bits & 63];
  }
  if (left > 0) {
    const uint32_t bits = uint32_t{in[0]} << 16 | (left == 2 ? uint32_t{in[1]} << 8 : 0);
    *out++ = kAlphabet[bits >> 18];
    *out++ = kAlphabet[bits >> 12 & 63];
    *out++ = left == 2 ? kAlphabet[bits >> 6 & 63] : '=';
    *out++ = '=';
  }
  return out;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (text.ends_with('=')) {
    if (text.size() % 4 != 0) return std::nullopt;
    text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  const bool url_safe = text.find_first_of("-_") != std::string_view::npos;
  const std::array<int8_t, 256>& values = url_safe ? kUrlSafe : kStandard;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;  // of the bits that are not written yet
  for (const char c : text) {
    const int8_t value = values[static_cast<unsigned char>(c)];
    if (value == kInvalid) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace starling::json
