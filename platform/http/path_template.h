// The grammar of google.api.http paths, taken apart for the router:
//
//   "/v1/{name=shelves/*/books/*}:move" -> segments "v1" "shelves" * "books" *, variable "name"
//   over segments 1..4,
//                                           custom verb "move"
//
// Pure; used when routes are added, never while a request is answered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::http {

struct PathTemplate {
  struct Segment {
    enum class Kind : uint8_t { kLiteral, kOne, kRest };
    Kind kind = Kind::kLiteral;
    std::string literal;  // as Request::path has it
  };
  struct Variable {
    std::string name;  // a field path: "product.id"
    size_t first = 0;  // segment
    size_t count = 0;  // segments; one that ends in ** takes all the rest
    bool rest = false;
  };
  std::vector<Segment> segments;
  std::vector<Variable> variables;
  std::string custom_verb;
};

// INVALID_ARGUMENT says what is wrong, and where.
StatusOr<PathTemplate> ParsePathTemplate(std::string_view text);

}  // namespace starling::http
