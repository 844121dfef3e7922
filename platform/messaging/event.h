// An event: something that happened, as CloudEvents 1.0 says it
// (https://github.com/cloudevents/spec).
//
//   Event event{.id = NewId(), .source = "/catalog", .type = "starling.catalog.product.put.v1"};
//   event.partitionkey = product.product_id();   // events with one key keep their order
//   event.data = changed.SerializeAsString();
//
// On disk and between processes an event is these bytes (integers little-endian; text is length:u32
// bytes):
//
//   event     := version:u8 (1) time:i64 (ns since 1970)
//                id source type subject datacontenttype partitionkey traceparent data (text each)
//                extensions:u16 { name value (text each) }
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::messaging {

struct Event {
  std::string id;      // with source, names the event for ever; required
  std::string source;  // who says so: "/catalog"; required
  std::string type;    // "starling.catalog.product.put.v1"; required
  std::string subject;
  TimePoint time{};
  std::string datacontenttype;  // "application/protobuf"
  std::string partitionkey;     // extension "partitioning"; the id when empty
  std::string traceparent;      // extension "distributed tracing"
  std::vector<std::pair<std::string, std::string>> extensions;
  std::string data;

  bool operator==(const Event&) const = default;
};

inline constexpr size_t kMaxEventBytes = 1 << 20;
inline constexpr size_t kMaxExtensions = 32;

// INVALID_ARGUMENT that names the attribute: required ones are there, the whole is at most
// kMaxEventBytes.
Status Validate(const Event& event);
void AppendEvent(const Event& event, std::string& out);
std::string EncodeEvent(const Event& event);
// DATA_LOSS for what EncodeEvent did not write. Reads foreign bytes safely.
StatusOr<Event> DecodeEvent(std::string_view bytes);

}  // namespace starling::messaging
