// Which content coding a client wants (RFC 9110, 12.5.3).
//
//   const AcceptEncoding accepts = AcceptEncoding::Of(request.headers);
//   constexpr Coding kOffered[] = {Coding::kZstd, Coding::kBrotli, Coding::kGzip};
//   const std::optional<Coding> coding = accepts.Choose(kOffered);     // nullopt: 406
//
// Pure; O(bytes of the field), no allocation for one field.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "platform/http/message.h"

namespace starling::http {

enum class Coding : uint8_t { kIdentity, kGzip, kBrotli, kZstd };
inline constexpr size_t kCodings = 4;

std::string_view CodingName(Coding coding);  // "identity", "gzip", "br", "zstd"
// "x-gzip" is gzip. nullopt for what is not known.
std::optional<Coding> CodingOf(std::string_view name);

class AcceptEncoding {
 public:
  // Without the field a client takes identity alone: what it can read besides is not known. A
  // member whose weight is malformed counts as not there.
  static AcceptEncoding Of(const Headers& request);
  static AcceptEncoding Parse(std::string_view value);

  // In thousandths; 0: it is refused.
  int Weight(Coding coding) const;
  // The one of the highest weight; of several that are equal the first of `offered`, and any of
  // them before identity. nullopt: the client takes none of these, nor identity.
  std::optional<Coding> Choose(std::span<const Coding> offered) const;
  bool RefusesIdentity() const { return Weight(Coding::kIdentity) == 0; }

 private:
  static constexpr int16_t kUnsaid = -1;
  std::array<int16_t, kCodings> weights_{kUnsaid, kUnsaid, kUnsaid, kUnsaid};
  int16_t others_ = kUnsaid;  // of "*"
};

}  // namespace starling::http
