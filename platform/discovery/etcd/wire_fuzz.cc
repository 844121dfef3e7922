// Answers of etcd, or of whoever stands in its place: any bytes end in a value or an error.
#include "platform/discovery/etcd/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  namespace etcd = starling::discovery::etcd;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)etcd::ReadRange(text);
  (void)etcd::ReadGrant(text);
  (void)etcd::ReadKeepAlive(text);
  (void)etcd::ReadLeases(text);
  (void)etcd::ReadWatch(text);
  (void)etcd::ReadError(500, text);
  if (const auto read = etcd::ReadRegistered(text); read.ok()) {
    // What was read is written and read again as it was.
    const auto again = etcd::ReadRegistered(etcd::WriteRegistered(*read));
    if (!again.ok() || *again != *read) __builtin_trap();
  }
  return 0;
}
