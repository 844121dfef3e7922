// Answers of DNS servers: any bytes end in records or an error.
#include "platform/discovery/dns/answer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  namespace dns = starling::discovery::dns;
  const std::string_view answer(reinterpret_cast<const char*>(bytes), size);
  (void)dns::ReadA(answer);
  (void)dns::ReadAaaa(answer);
  (void)dns::ReadSrv(answer);
  return 0;
}
