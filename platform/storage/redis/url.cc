#include "platform/storage/redis/url.h"

#include <charconv>
#include <optional>

namespace starling::redis {
namespace {

constexpr std::string_view kScheme = "redis://";

Status NoUrl(std::string_view why) {
  return InvalidArgument(
      "this is no URL of Redis: {}; write it as redis://user:password@host:6379/0, more nodes of a "
      "cluster as host:6379,host:6380, with signs of the password that are none of a URL as %40",
      why);
}

template <typename Number>
bool ReadNumber(std::string_view text, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::string> Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned char byte = 0;
    if (i + 2 >= text.size() || !ReadNumber(text.substr(i + 1, 2), byte, 16)) return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

StatusOr<Address> ParseHost(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const bool has_port = text.find(':', bracketed ? text.find(']') : 0) != std::string_view::npos;
  if (has_port) return ParseAddress(text);
  const std::string with_port = std::string(text) + ":6379";
  return ParseAddress(with_port);
}

}  // namespace

std::string Address::ToString() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

std::string Url::Shown() const {
  std::string shown = "Redis at ";
  for (const Address& address : addresses) {
    if (&address != &addresses.front()) shown += ", ";
    shown += address.ToString();
  }
  return shown;
}

StatusOr<Address> ParseAddress(std::string_view text) {
  Address address;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !ReadNumber(text.substr(colon + 1), address.port) || address.port == 0) {
    return InvalidArgument("a host and a port are expected, as 127.0.0.1:6379");
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return InvalidArgument("a host is expected before the port");
  address.host = host;
  return address;
}

StatusOr<Url> ParseUrl(std::string_view text) {
  if (text.starts_with("rediss://"))
    return NoUrl("TLS is not spoken; put a tunnel (stunnel, a service mesh) before the server");
  if (!text.starts_with(kScheme)) return NoUrl("it does not begin with redis://");
  text.remove_prefix(kScheme.size());
  Url url;
  std::string_view authority = text.substr(0, text.find('/'));
  std::string_view database = text.substr(authority.size());
  if (!database.empty()) database.remove_prefix(1);
  if (!database.empty() && (!ReadNumber(database, url.database) || url.database < 0))
    return NoUrl("what follows the host is not the number of a database");
  // A password with an @ or a / that is not escaped would be taken for a part of the host, and
  // shown.
  const size_t at = authority.find('@');
  if (at != std::string_view::npos && authority.find('@', at + 1) != std::string_view::npos)
    return NoUrl("it has more than one @");
  if (at != std::string_view::npos) {
    const std::string_view user = authority.substr(0, at);
    const size_t colon = user.find(':');
    if (colon == std::string_view::npos) return NoUrl("there is no ':' between user and password");
    const auto name = Unescaped(user.substr(0, colon));
    const auto password = Unescaped(user.substr(colon + 1));
    if (!name || !password) return NoUrl("a % is not followed by two hexadecimal digits");
    url.user = *name;
    url.password = *password;
    authority.remove_prefix(at + 1);
  }
  while (true) {
    const size_t comma = authority.find(',');
    const auto address = ParseHost(authority.substr(0, comma));
    if (!address.ok()) return NoUrl("the host or its port is missing or none");
    url.addresses.push_back(*address);
    if (comma == std::string_view::npos) break;
    authority.remove_prefix(comma + 1);
  }
  if (url.addresses.size() > 1 && url.database != 0) return NoUrl("a cluster has database 0 alone");
  return url;
}

}  // namespace starling::redis
