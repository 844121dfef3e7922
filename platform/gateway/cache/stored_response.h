// One answer as it is stored: immutable, shared by all who use it.
#pragma once

#include <memory>
#include <string>

#include "platform/gateway/cache/rules/freshness.h"
#include "platform/gateway/cache/rules/selection.h"
#include "platform/http/message.h"

namespace starling::gateway {

struct StoredResponse {
  std::string key;  // see rules/target.h
  SelectingFields selecting;
  int status = 200;
  http::Headers headers;  // see FieldsToStore
  // Apart, so that an answer whose fields a 304 brought up to date shares it with the one before.
  std::shared_ptr<const std::string> body;
  // Which body it is; a compressed form of it, stored beside under a key of its own (forms.h), has
  // the same.
  uint64_t body_id = 0;
  Freshness freshness;
  Instant answered;         // when it came or was validated; ages are counted from here
  TimePoint answered_wall;  // the same by the wall clock

  Duration Age(Instant now) const {
    return freshness.initial_age + std::max(Duration(0), Duration(now - answered));
  }
};
using StoredPtr = std::shared_ptr<const StoredResponse>;

// What it takes of memory, an allocator's own part included: an eighth and 16 bytes a block, which
// is what glibc and tcmalloc add at most. A body that two share counts in both.
size_t BytesOf(const StoredResponse& response);
// The same for one block of so many bytes.
constexpr size_t BlockBytes(size_t bytes) { return bytes == 0 ? 0 : bytes + bytes / 8 + 16; }

}  // namespace starling::gateway
