// One record of a log file: an event with its place, guarded by a checksum.
//
//   record  := size:u32 checksum:u32 payload            size of the payload, CRC-32C of the payload
//   payload := sequence:u64 partition:u16 event         event: see event.h
//
// A file of the log is records one after the other and nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/messaging/event.h"

namespace starling::messaging {

inline constexpr size_t kRecordHeader = 8;
inline constexpr size_t kMaxPayload = kMaxEventBytes + (64 << 10);

void AppendRecord(uint64_t sequence, uint16_t partition, const Event& event, std::string& out);

// What stands at the front of `bytes`.
struct RecordView {
  enum State {
    kWhole,    // a record, `size` bytes with its header
    kCut,      // the beginning of a record: more bytes are needed
    kDamaged,  // no record
  };
  State state = kDamaged;
  size_t size = 0;
  uint64_t sequence = 0;
  uint16_t partition = 0;
  std::string_view event;  // for DecodeEvent
};
RecordView ReadRecord(std::string_view bytes);

}  // namespace starling::messaging
