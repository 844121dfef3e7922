// Cookie fields of any bytes: pairs are parts of the field with allowed characters alone, what is
// removed is gone, and what stays is still found.
#include <cstdint>
#include <cstdlib>

#include "platform/http/cookies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto demand = [](bool condition) {
    if (!condition) std::abort();
  };
  const size_t middle = std::min(text.find('\n'), text.size());
  Headers headers;
  headers.Add("cookie", text.substr(0, middle));
  headers.Add("Cookie", text.substr(std::min(middle + 1, text.size())));
  const std::vector<CookiePair> pairs = ParseCookies(text.substr(0, middle));
  demand(pairs.size() <= 128);
  for (const CookiePair& pair : pairs) {
    demand(!pair.name.empty());
    demand(pair.value.find_first_of("; ,\"\\\r\n") == std::string_view::npos);
    demand(pair.name.find_first_of("=; \t\r\n") == std::string_view::npos);
    const auto found = FindCookie(headers, pair.name);
    demand(!found.ok() || *found == pair.value);
  }
  if (!pairs.empty()) {
    const std::string name(pairs[0].name);
    RemoveCookies(headers, [&](std::string_view other) { return other == name; });
    const auto found = FindCookie(headers, name);
    demand(found.ok() && !found->has_value());
  }
  return 0;
}
