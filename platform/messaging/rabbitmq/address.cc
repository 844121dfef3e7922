#include "platform/messaging/rabbitmq/address.h"

#include <charconv>

namespace starling::messaging {
namespace {

constexpr std::string_view kForm = "amqp://user:password@host:5672/vhost";
// A password with such a character is taken for something else: nothing of a URL may be quoted.
constexpr std::string_view kEscape =
    "write '/', '?', '@', ':' and ',' of names and passwords as %XX";

template <typename T>
bool ReadNumber(std::string_view text, T& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

// The text up to `end`, which is taken off with it.
std::string_view TakePart(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

StatusOr<std::string> Decoded(std::string_view text, std::string_view what) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned char byte = 0;
    if (digits.size() < 2 || !ReadNumber(digits, byte, 16))
      return InvalidArgument("the {} has a '%' without two hexadecimal digits", what);
    out.push_back(static_cast<char>(byte));
    i += 2;
  }
  return out;
}

StatusOr<std::pair<std::string, int>> HostOf(std::string_view text, int port) {
  std::string_view host = text;
  std::string_view rest;
  if (text.starts_with('[')) {  // [::1]:5672
    const size_t end = text.find(']');
    if (end == std::string_view::npos)
      return InvalidArgument("a '[' has no ']'; the form is {}", kForm);
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (host.empty()) return InvalidArgument("a host is empty; the form is {}", kForm);
  if (!rest.empty() &&
      (rest[0] != ':' || !ReadNumber(rest.substr(1), port, 10) || port < 1 || port > 65'535))
    return InvalidArgument("a port is no number from 1 to 65535; {}", kEscape);
  return std::pair(std::string(host), port);
}

Status TakeQuery(std::string_view query, RabbitAddress& address) {
  while (!query.empty()) {
    std::string_view value = TakePart(query, '&');
    const std::string_view name = TakePart(value, '=');
    if (name != "cacertfile")
      return InvalidArgument("has a parameter other than cacertfile; {}", kEscape);
    if (!address.tls) return InvalidArgument("cacertfile is for amqps");
    STARLING_ASSIGN_OR_RETURN(address.ca_file, Decoded(value, "cacertfile"));
  }
  return OkStatus();
}

}  // namespace

std::string RabbitAddress::Where() const {
  std::string where;
  for (const auto& [host, port] : hosts)
    where += fmt::format("{}{}:{}", where.empty() ? "" : ", ", host, port);
  return where;
}

StatusOr<RabbitAddress> ParseRabbitUrl(std::string_view url) {
  RabbitAddress address;
  std::string_view rest = url;
  if (rest.starts_with("amqps://")) {
    address.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("amqp://")) {
    rest.remove_prefix(7);
  } else {
    return InvalidArgument("does not begin with amqp:// or amqps://; the form is {}", kForm);
  }
  if (const size_t query = rest.find('?'); query != std::string_view::npos) {
    STARLING_RETURN_IF_ERROR(TakeQuery(rest.substr(query + 1), address));
    rest = rest.substr(0, query);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    STARLING_ASSIGN_OR_RETURN(std::string vhost, Decoded(rest.substr(slash + 1), "vhost"));
    if (rest.find('/', slash + 1) != std::string_view::npos)
      return InvalidArgument("the vhost has a '/': write %2F");
    if (!vhost.empty()) address.vhost = std::move(vhost);
    rest = rest.substr(0, slash);
  }
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const size_t colon = who.find(':');
    if (colon == std::string_view::npos)
      return InvalidArgument("there is a user without a password; the form is {}", kForm);
    STARLING_ASSIGN_OR_RETURN(address.user, Decoded(who.substr(0, colon), "user"));
    STARLING_ASSIGN_OR_RETURN(address.password, Decoded(who.substr(colon + 1), "password"));
    rest = rest.substr(at + 1);
  }
  do {
    STARLING_ASSIGN_OR_RETURN(auto one, HostOf(TakePart(rest, ','), address.tls ? 5671 : 5672));
    address.hosts.push_back(std::move(one));
  } while (!rest.empty());
  return address;
}

}  // namespace starling::messaging
