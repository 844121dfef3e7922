// Base64 (RFC 4648), as the proto3 JSON mapping writes and reads bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace starling::json {

inline size_t Base64Size(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Writes Base64Size(bytes.size()) characters to `out`, standard alphabet with padding; returns
// their end.
char* EncodeBase64(std::string_view bytes, char* out);

// Takes the standard and the URL-safe alphabet, not mixed, with or without padding. Nothing for
// other characters, wrong lengths and last characters whose unused bits are set.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace starling::json
