#include "platform/discovery/address.h"

#include <algorithm>
#include <charconv>

namespace starling::discovery {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

}  // namespace

Status CheckServiceName(std::string_view name) {
  if (name.empty() || name.size() > 63 || !std::all_of(name.begin(), name.end(), IsNameCharacter) ||
      name.front() == '.' || name.back() == '.') {
    return InvalidArgument(
        "'{}' is no name of a service: letters, digits, '-', '_' and '.', at most 63 of them",
        name.substr(0, 80));
  }
  return OkStatus();
}

Status CheckAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  const std::string_view host = address.substr(0, std::min(colon, address.size()));
  const std::string_view port = colon == std::string_view::npos ? "" : address.substr(colon + 1);
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool is_port =
      error == std::errc() && end == port.data() + port.size() && number > 0 && number < 65536;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']' &&
                         host.find_first_not_of("0123456789abcdefABCDEF:.%", 1) == host.size() - 1;
  const bool plain = !host.empty() && std::all_of(host.begin(), host.end(), IsNameCharacter);
  if (is_port && (bracketed || plain)) return OkStatus();
  return InvalidArgument("'{}' is no address; write it as 127.0.0.1:9000, [::1]:9000 or name:9000",
                         address.substr(0, 100));
}

}  // namespace starling::discovery
