// Any bytes as the front of a log file: never a crash, and what is read is what would be written.
#include <cstdlib>

#include "platform/base/hash.h"
#include "platform/messaging/record.h"
#include "platform/messaging/wire.h"

namespace {

// A record that is read is the record that would be written.
void CheckRecord(std::string_view bytes) {
  using namespace starling::messaging;
  const RecordView record = ReadRecord(bytes);
  if (record.state != RecordView::kWhole) return;
  if (record.size > bytes.size()) std::abort();
  const auto event = DecodeEvent(record.event);
  if (!event.ok()) return;
  std::string again;
  AppendRecord(record.sequence, record.partition, *event, again);
  if (again != bytes.substr(0, record.size)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::messaging;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  CheckRecord(bytes);
  // The same behind a header that fits, which bytes hit upon seldom.
  std::string framed;
  wire::Append(static_cast<uint32_t>(size), framed);
  wire::Append(starling::Crc32c(bytes), framed);
  framed.append(bytes);
  CheckRecord(framed);
  const auto event = DecodeEvent(bytes);
  if (event.ok() && EncodeEvent(*event) != bytes) std::abort();
  return 0;
}
