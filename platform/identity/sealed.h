// Text that goes away and comes back unread and unchanged: AES-256-GCM, as base64url.
//
//   const Sealer sealer("login", secret);
//   std::string away = sealer.Seal("state=1");
//   std::optional<std::string> back = sealer.Open(away);   // nullopt when it is not ours
//
// The key is made of purpose and secret, so that what is sealed for one is none for another, and
// every process with the same secret opens it. It does not say when it was sealed: put a time into
// the text. About 2 us. Thread-safe.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace starling::identity {

class Sealer {
 public:
  Sealer(std::string_view purpose, std::string_view secret);
  std::string Seal(std::string_view text) const;
  std::optional<std::string> Open(std::string_view sealed) const;

 private:
  std::array<unsigned char, 32> key_;
};

}  // namespace starling::identity
