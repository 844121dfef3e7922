// Little-endian integers and counted text in a byte string. Within messaging only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace starling::messaging::wire {

static_assert(std::endian::native == std::endian::little, "the log's format is little-endian");

template <typename T>
void Append(T value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void AppendText(std::string_view text, std::string& out) {
  Append(static_cast<uint32_t>(text.size()), out);
  out.append(text);
}

// Takes a value off the front; false when there are too few bytes.
template <typename T>
bool Take(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return true;
}

inline bool TakeText(std::string_view& bytes, std::string& text) {
  uint32_t size = 0;
  if (!Take(bytes, size) || bytes.size() < size) return false;
  text.assign(bytes.data(), size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace starling::messaging::wire
