#include "platform/messaging/record.h"

#include "platform/base/hash.h"
#include "platform/messaging/wire.h"

namespace starling::messaging {

void AppendRecord(uint64_t sequence, uint16_t partition, const Event& event, std::string& out) {
  const size_t start = out.size();
  out.append(kRecordHeader, '\0');
  wire::Append(sequence, out);
  wire::Append(partition, out);
  AppendEvent(event, out);
  const std::string_view payload = std::string_view(out).substr(start + kRecordHeader);
  const auto size = static_cast<uint32_t>(payload.size());
  const uint32_t checksum = Crc32c(payload);
  std::memcpy(out.data() + start, &size, sizeof size);
  std::memcpy(out.data() + start + sizeof size, &checksum, sizeof checksum);
}

RecordView ReadRecord(std::string_view bytes) {
  RecordView view;
  std::string_view rest = bytes;
  uint32_t size = 0, checksum = 0;
  if (!wire::Take(rest, size) || !wire::Take(rest, checksum)) {
    view.state = RecordView::kCut;
    return view;
  }
  if (size < sizeof(uint64_t) + sizeof(uint16_t) || size > kMaxPayload) return view;
  if (rest.size() < size) {
    view.state = RecordView::kCut;
    return view;
  }
  rest = rest.substr(0, size);
  if (Crc32c(rest) != checksum) return view;
  wire::Take(rest, view.sequence);
  wire::Take(rest, view.partition);
  view.event = rest;
  view.size = kRecordHeader + size;
  view.state = RecordView::kWhole;
  return view;
}

}  // namespace starling::messaging
