// Where a Redis is, as an operator writes it.
//
//   redis://[user:password@]host:port[,host:port...][/db]
//
// Several hosts are nodes of one cluster, any of which may be asked first; then db is 0. Signs of
// the user and the password that are none of a URL are written as %40.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::redis {

struct Address {
  std::string host;  // "10.0.0.7", "::1" (without brackets), "redis.local"
  uint16_t port = 6379;
  bool operator==(const Address&) const = default;
  std::string ToString() const;  // "10.0.0.7:6379", "[::1]:6379"
};

struct Url {
  std::vector<Address> addresses;  // never empty
  std::string user;
  std::string password;  // empty: no AUTH
  int database = 0;
  // "Redis at 10.0.0.7:6379, 10.0.0.8:6379", as messages may show it.
  std::string Shown() const;
};

// INVALID_ARGUMENT, without a word of the URL, which has a password in it.
StatusOr<Url> ParseUrl(std::string_view url);
// "host:port"; the port after the last colon, as Redis writes it ("::1:6379" too).
StatusOr<Address> ParseAddress(std::string_view text);

}  // namespace starling::redis
