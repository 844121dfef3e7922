#include "platform/telemetry/text.h"

#include <fmt/core.h>

#include <cctype>
#include <cstdint>

#include "platform/base/words.h"

namespace starling::telemetry {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: no UTF-8 begins here
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
Character Decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0u;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first >= 0xc2 && first <= 0xdf && continues(1))
    return {(first & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  if (first >= 0xe0 && first <= 0xef && continues(1) && continues(2)) {
    const uint32_t code = (first & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    if (code >= 0x800 && (code < 0xd800 || code > 0xdfff)) return {code, 3};
  }
  if (first >= 0xf0 && first <= 0xf4 && continues(1) && continues(2) && continues(3)) {
    const uint32_t code =
        (first & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    if (code >= 0x10000 && code <= 0x10ffff) return {code, 4};
  }
  return {};
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029;
}

enum class Quotes { kEscape, kKeep };

// Whether all of it is printable ASCII that nothing needs an escape for.
bool IsPlain(std::string_view text) {
  return !AnyWord(text, [](uint64_t word) {
    return BytesBelow(word, 0x20) | BytesAbove127(word) | BytesEqual(word, 0x7f) |
           BytesEqual(word, '"') | BytesEqual(word, '\\');
  });
}

void AppendEscaped(std::string_view text, Quotes quotes, std::string& out) {
  if (IsPlain(text)) {
    out += text;
    return;
  }
  for (size_t at = 0; at < text.size();) {
    const Character character = Decode(text, at);
    if (character.bytes == 0) {
      out += kReplacement;
      ++at;
      continue;
    }
    if (quotes == Quotes::kEscape && (character.code == '"' || character.code == '\\')) {
      out += '\\';
      out += static_cast<char>(character.code);
    } else if (character.code == '\n') {
      out += "\\n";
    } else if (character.code == '\t') {
      out += "\\t";
    } else if (IsControl(character.code)) {
      out += fmt::format("\\u{:04x}", character.code);
    } else {
      out += text.substr(at, character.bytes);
    }
    at += character.bytes;
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  AppendEscaped(text, Quotes::kEscape, out);
  out += '"';
}

void AppendPlain(std::string_view text, std::string& out) {
  AppendEscaped(text, Quotes::kKeep, out);
}

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Decode(text, at).bytes;
    out += bytes == 0 ? kReplacement : text.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return out;
}

std::string Shortened(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return fmt::format("{}...({} bytes more)", text.substr(0, end), text.size() - end);
}

bool IsSecretName(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  for (const std::string_view word :
       {"password", "passwd", "passphrase", "secret", "token", "authorization", "cookie",
        "credential", "signature", "apikey", "privatekey"}) {
    if (letters.find(word) != std::string::npos) return true;
  }
  // "key" as a word at the end: "key", "cluster_key", "signingKey", "X-Some-KEY"; not "monkey".
  if (letters.size() < 3 || !letters.ends_with("key") || name.size() < 3) return false;
  const std::string_view last = name.substr(name.size() - 3);
  if (letters == "key" || last.starts_with('K')) return true;
  return name.size() > 3 && std::isalnum(static_cast<unsigned char>(name[name.size() - 4])) == 0;
}

}  // namespace starling::telemetry
