// Any bytes as the front of a log file: never a crash, and what is read is what would be written.
#include <cstdlib>

#include "platform/messaging/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::messaging;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const RecordView record = ReadRecord(bytes);
  if (record.state == RecordView::kWhole) {
    const auto event = DecodeEvent(record.event);
    if (event.ok()) {
      std::string again;
      AppendRecord(record.sequence, record.partition, *event, again);
      if (again != bytes.substr(0, record.size)) std::abort();
    }
  }
  // Past the checksum, which random bytes seldom pass.
  const auto event = DecodeEvent(bytes);
  if (event.ok() && EncodeEvent(*event) != bytes) std::abort();
  return 0;
}
