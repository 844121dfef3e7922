#include "platform/messaging/rabbitmq/statement.h"

#include <algorithm>

#include "platform/messaging/wire.h"

namespace starling::messaging::rabbitmq {
namespace {
constexpr uint8_t kVersion = 1;
}

std::string EncodeStatement(const Statement& statement) {
  std::string out;
  wire::Append(kVersion, out);
  wire::AppendText(statement.from, out);
  wire::Append(statement.number, out);
  wire::Append(static_cast<uint16_t>(statement.running.size()), out);
  for (const std::string& group : statement.running) wire::AppendText(group, out);
  wire::Append(static_cast<uint16_t>(statement.offsets.size()), out);
  for (const auto& [group, offsets] : statement.offsets) {
    wire::AppendText(group, out);
    wire::Append(static_cast<uint16_t>(offsets.size()), out);
    for (const uint64_t next : offsets) wire::Append(next, out);
  }
  return out;
}

StatusOr<Statement> DecodeStatement(std::string_view bytes) {
  const Status damaged = DataLoss("is no statement of a process about its groups");
  Statement statement;
  uint8_t version = 0;
  uint16_t count = 0;
  std::string group;
  if (!wire::Take(bytes, version) || version != kVersion ||
      !wire::TakeText(bytes, statement.from) || !wire::Take(bytes, statement.number) ||
      !wire::Take(bytes, count))
    return damaged;
  for (; count > 0; --count) {
    if (!wire::TakeText(bytes, group)) return damaged;
    statement.running.insert(group);
  }
  if (!wire::Take(bytes, count)) return damaged;
  for (; count > 0; --count) {
    uint16_t partitions = 0;
    if (!wire::TakeText(bytes, group) || !wire::Take(bytes, partitions)) return damaged;
    Offsets& offsets = statement.offsets[group];
    for (; partitions > 0; --partitions) {
      uint64_t next = 0;
      if (!wire::Take(bytes, next)) return damaged;
      offsets.push_back(next);
    }
  }
  if (!bytes.empty()) return damaged;
  return statement;
}

void Merge(const Offsets& other, Offsets& offsets) {
  offsets.resize(std::max(offsets.size(), other.size()));
  for (size_t i = 0; i < other.size(); ++i) offsets[i] = std::max(offsets[i], other[i]);
}

}  // namespace starling::messaging::rabbitmq
