#include "platform/messaging/event.h"

#include "platform/messaging/wire.h"

namespace starling::messaging {
namespace {
constexpr uint8_t kVersion = 1;
constexpr size_t kMaxAttribute = 4'096;
}  // namespace

Status Validate(const Event& event) {
  for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"id", event.id},
                                    {"source", event.source},
                                    {"type", event.type}}) {
    if (value.empty()) return InvalidField(name, "is missing; every event has one");
  }
  for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"id", event.id},
                                    {"source", event.source},
                                    {"type", event.type},
                                    {"subject", event.subject},
                                    {"partitionkey", event.partitionkey}}) {
    if (value.size() > kMaxAttribute) {
      return InvalidField(name, "has {} bytes; at most {} are taken", value.size(), kMaxAttribute);
    }
  }
  if (event.extensions.size() > kMaxExtensions) {
    return InvalidField("extensions", "are {}; at most {} are taken", event.extensions.size(),
                        kMaxExtensions);
  }
  size_t size = event.data.size();
  for (const auto& [name, value] : event.extensions) size += name.size() + value.size();
  if (size > kMaxEventBytes) {
    return InvalidField("data", "has {} bytes; at most {} are taken", size, kMaxEventBytes);
  }
  return OkStatus();
}

void AppendEvent(const Event& event, std::string& out) {
  wire::Append(kVersion, out);
  wire::Append(event.time.time_since_epoch().count(), out);
  for (const std::string* text :
       {&event.id, &event.source, &event.type, &event.subject, &event.datacontenttype,
        &event.partitionkey, &event.traceparent, &event.data}) {
    wire::AppendText(*text, out);
  }
  wire::Append(static_cast<uint16_t>(event.extensions.size()), out);
  for (const auto& [name, value] : event.extensions) {
    wire::AppendText(name, out);
    wire::AppendText(value, out);
  }
}

std::string EncodeEvent(const Event& event) {
  std::string out;
  AppendEvent(event, out);
  return out;
}

StatusOr<Event> DecodeEvent(std::string_view bytes) {
  Event event;
  uint8_t version = 0;
  int64_t time = 0;
  if (!wire::Take(bytes, version) || version != kVersion) {
    return DataLoss("the event has format {}; this program reads format {}", version, kVersion);
  }
  bool ok = wire::Take(bytes, time);
  event.time = TimePoint(Duration(time));
  for (std::string* text :
       {&event.id, &event.source, &event.type, &event.subject, &event.datacontenttype,
        &event.partitionkey, &event.traceparent, &event.data}) {
    ok = ok && wire::TakeText(bytes, *text);
  }
  uint16_t extensions = 0;
  ok = ok && wire::Take(bytes, extensions);
  for (uint16_t i = 0; ok && i < extensions; ++i) {
    auto& [name, value] = event.extensions.emplace_back();
    ok = wire::TakeText(bytes, name) && wire::TakeText(bytes, value);
  }
  if (!ok || !bytes.empty()) return DataLoss("the event's bytes are damaged");
  return event;
}

}  // namespace starling::messaging
