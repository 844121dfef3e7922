#include "platform/http/cookies.h"

#include <algorithm>

namespace starling::http {
namespace {

constexpr size_t kMaxPairs = 128;

bool IsTokenCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// cookie-octet: no control, space, quote, comma, semicolon or backslash.
bool IsValueCharacter(char c) {
  return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<CookiePair> PairOf(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  CookiePair pair{text.substr(0, equals), text.substr(equals + 1)};
  if (pair.value.size() >= 2 && pair.value.front() == '"' && pair.value.back() == '"')
    pair.value = pair.value.substr(1, pair.value.size() - 2);
  const bool good = std::all_of(pair.name.begin(), pair.name.end(), IsTokenCharacter) &&
                    std::all_of(pair.value.begin(), pair.value.end(), IsValueCharacter);
  return good ? std::optional(pair) : std::nullopt;
}

template <typename F>
void ForEachPiece(std::string_view field, F f) {
  for (size_t count = 0; !field.empty() && count < kMaxPairs; ++count) {
    const size_t end = std::min(field.find(';'), field.size());
    f(Trim(field.substr(0, end)));
    field.remove_prefix(std::min(end + 1, field.size()));
  }
}

}  // namespace

std::vector<CookiePair> ParseCookies(std::string_view field) {
  std::vector<CookiePair> pairs;
  ForEachPiece(field, [&](std::string_view piece) {
    if (const auto pair = PairOf(piece)) pairs.push_back(*pair);
  });
  return pairs;
}

StatusOr<std::optional<std::string_view>> FindCookie(const Headers& headers,
                                                     std::string_view name) {
  std::optional<std::string_view> found;
  for (const Headers::Field field : headers) {
    if (!EqualsIgnoreCase(field.name, "cookie")) continue;
    for (const CookiePair& pair : ParseCookies(field.value)) {
      if (pair.name != name) continue;
      if (found && *found != pair.value)
        return InvalidArgument("the cookie {} came with two values; remove both", name);
      found = pair.value;
    }
  }
  return found;
}

void RemoveCookies(Headers& headers, std::function<bool(std::string_view name)> which) {
  std::string left;
  bool removed = false;
  for (const Headers::Field field : headers) {
    if (!EqualsIgnoreCase(field.name, "cookie")) continue;
    // Pieces that are no good pairs go on as they are: only their names count.
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view piece = Trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (piece.empty()) continue;
      if (which(Trim(piece.substr(0, piece.find('='))))) {
        removed = true;
        continue;
      }
      if (!left.empty()) left += "; ";
      left += piece;
    }
  }
  if (!removed) return;
  headers.Remove("cookie");
  if (!left.empty()) headers.Add("cookie", left);
}

std::string SetCookie(const NewCookie& cookie) {
  std::string text =
      fmt::format("{}={}; Path={}; HttpOnly; SameSite=Lax", cookie.name, cookie.value, cookie.path);
  if (cookie.secure) text += "; Secure";
  if (cookie.max_age)
    text += fmt::format("; Max-Age={}", *cookie.max_age / std::chrono::seconds(1));
  return text;
}

}  // namespace starling::http
