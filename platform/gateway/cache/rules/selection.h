// Which of the answers stored for one URI fits a request: Vary (RFC 9111, 4.1).
//
//   const SelectingFields selecting = SelectingFields::Of(response.headers, request.headers);
//   if (selecting.Match(next_request.headers)) ...
//
// A field that Vary names matches when both requests lack it or both have the same value, several
// fields of the name counting as one list. For Accept, Accept-Charset, Accept-Encoding and
// Accept-Language the values are brought to one form first: without blanks, in lower case, in one
// order, as 4.1 allows where the meaning stays.
//
// Thread-safe as a constant. Match costs O(fields named x fields of the request), and allocates
// only where values of those four differ in form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/http/message.h"

namespace starling::gateway {

bool VariesByEverything(const http::Headers& response);

class SelectingFields {
 public:
  // The response must not vary by everything.
  static SelectingFields Of(const http::Headers& response, const http::Headers& request);

  bool Match(const http::Headers& request) const;
  bool Selects(const SelectingFields& other) const { return fields_ == other.fields_; }
  bool empty() const { return fields_.empty(); }
  // Of heap memory, as bytes that were asked for, and in how many blocks.
  size_t Bytes() const;
  size_t Blocks() const;

 private:
  struct Field {
    std::string name;  // in lower case
    bool there = false;
    std::string sent;    // as the request had it, joined
    std::string normal;  // in its one form
    bool operator==(const Field& other) const {
      return name == other.name && there == other.there && normal == other.normal;
    }
  };
  std::vector<Field> fields_;  // by name
};

}  // namespace starling::gateway
