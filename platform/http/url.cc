#include "platform/http/url.h"

#include <algorithm>
#include <charconv>

#include "platform/http/message.h"

namespace starling::http {

StatusOr<HttpUrl> ParseHttpUrl(std::string_view url) {
  const auto bad = [url](std::string_view what) {
    return InvalidArgument("URL '{}' {}; write it as http://host:port/path or https://host/path",
                           url, what);
  };
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return bad("has no scheme");
  const bool tls = EqualsIgnoreCase(url.substr(0, scheme_end), "https");
  if (!tls && !EqualsIgnoreCase(url.substr(0, scheme_end), "http")) {
    return bad(fmt::format("has the scheme '{}', and this client speaks http and https",
                           url.substr(0, scheme_end)));
  }
  for (const char c : url) {
    if (c <= 0x20 || c >= 0x7f) return bad("holds a character that must be percent-encoded");
  }
  std::string_view rest = url.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  rest.remove_prefix(authority_end);

  HttpUrl parsed;
  parsed.tls = tls;
  parsed.port = tls ? 443 : 80;
  parsed.authority = std::string(authority);
  if (authority.find('@') != std::string_view::npos)
    return bad("holds a user name, which belongs in a header");
  size_t host_end = authority.find(':');
  if (authority.starts_with('[')) {
    const size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return bad("has a '[' without ']'");
    parsed.host = std::string(authority.substr(1, bracket - 1));
    host_end = bracket + 1 < authority.size() ? bracket + 1 : std::string_view::npos;
    if (host_end != std::string_view::npos && authority[host_end] != ':')
      return bad("has a malformed host");
  } else {
    parsed.host = std::string(authority.substr(0, host_end));
  }
  if (parsed.host.empty()) return bad("has no host");
  if (host_end != std::string_view::npos) {
    const std::string_view port = authority.substr(host_end + 1);
    const char* end = port.data() + port.size();
    const auto [at, error] = std::from_chars(port.data(), end, parsed.port);
    if (error != std::errc() || at != end || parsed.port == 0) {
      return bad(fmt::format("has the port '{}', which is not in 1..65535", port));
    }
  }
  parsed.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return parsed;
}

}  // namespace starling::http
