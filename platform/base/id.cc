#include "platform/base/id.h"

#include <sys/random.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace starling {
namespace {

// xoshiro256++ (Blackman and Vigna, 2019).
class Generator {
 public:
  Generator() { SecureRandom(state_.data(), sizeof(state_)); }
  uint64_t Next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<uint64_t, 4> state_;
};

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64Url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

}  // namespace

void SecureRandom(void* out, size_t size) {
  auto* at = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got <= 0) {
      std::perror("getrandom");
      std::abort();
    }
    at += got;
    size -= static_cast<size_t>(got);
  }
}

uint64_t FastRandom() {
  thread_local Generator generator;
  return generator.Next();
}

std::string NewId() {
  const auto milliseconds =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
  const uint64_t high = (milliseconds << 16) | 0x7000 | (FastRandom() & 0xfff);
  const uint64_t low = (FastRandom() & 0x3fffffffffffffff) | 0x8000000000000000;
  std::string id(32, '0');
  for (int i = 0; i < 16; ++i) {
    id[i] = kHex[(high >> (60 - 4 * i)) & 15];
    id[16 + i] = kHex[(low >> (60 - 4 * i)) & 15];
  }
  return id;
}

std::string RandomToken(size_t bytes) {
  std::string raw(bytes, '\0');
  SecureRandom(raw.data(), raw.size());
  return Base64UrlEncode(raw);
}

std::string ToHex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kHex[static_cast<unsigned char>(c) >> 4];
    text += kHex[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string Base64UrlEncode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      text += kBase64Url[(bits >> count) & 63];
    }
  }
  if (count > 0) text += kBase64Url[(bits << (6 - count)) & 63];
  return text;
}

bool Base64UrlDecode(std::string_view text, std::string& bytes) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  bytes.clear();
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = Base64Value(c);
    if (value < 0) return false;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>((bits >> count) & 255);
    }
  }
  return true;
}

}  // namespace starling
