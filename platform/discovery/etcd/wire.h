// etcd's v3 API as JSON, the way its own gateway speaks it: 64-bit numbers as text, keys and values
// in base64 (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/). Requests are written, answers
// read, nothing is sent. Answers are foreign bytes: DATA_LOSS names what could not be read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::discovery::etcd {

using Values = std::map<std::string, std::string>;

// Of every answer: whose it is and how far that etcd has got.
struct Header {
  std::string cluster;
  int64_t revision = 0;
};

struct RangeAnswer {
  Header header;
  Values values;
};

struct Change {
  std::string key;
  std::optional<std::string> value;  // none: the key is gone
};

// A line of a watch.
struct WatchAnswer {
  Header header;
  bool created = false;   // the first: the watch is there, and header.revision is now
  bool canceled = false;  // the last; `reason` and `compacted` say why
  int64_t compacted = 0;  // not 0: revisions before this one are forgotten
  std::string reason;
  std::vector<Change> changes;  // none when it only says how far etcd has got
};

// The end of the range of all keys that begin with `prefix`.
std::string EndOfPrefix(std::string_view prefix);

std::string RangeRequest(std::string_view prefix);
std::string PutRequest(const Values& values, int64_t lease);  // in one transaction; 0: no lease
std::string DeleteRequest(std::string_view key);
std::string GrantRequest(Duration ttl);   // whole seconds, at least 1
std::string LeaseRequest(int64_t lease);  // to keep it alive, to revoke it
std::string CompactRequest(int64_t revision);
std::string WatchRequest(std::string_view prefix, int64_t revision);

StatusOr<RangeAnswer> ReadRange(std::string_view json);
StatusOr<int64_t> ReadGrant(std::string_view json);
// Whether the lease is alive still.
StatusOr<bool> ReadKeepAlive(std::string_view json);
StatusOr<std::vector<int64_t>> ReadLeases(std::string_view json);
StatusOr<WatchAnswer> ReadWatch(std::string_view line);
// The error of an answer that is not 200: etcd's own code and message where it gives them.
Status ReadError(int http_status, std::string_view body);

// What a service's key holds.
struct Registered {
  std::string address;
  std::string zone;
  std::string contract;
  uint32_t weight = 1;
  std::string admin = {};
  bool operator==(const Registered&) const = default;
};
std::string WriteRegistered(const Registered& registered);
StatusOr<Registered> ReadRegistered(std::string_view json);

}  // namespace starling::discovery::etcd
