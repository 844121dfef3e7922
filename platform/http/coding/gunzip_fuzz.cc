// What gunzip gives never is above its bound, whatever comes.
#include <cstdint>
#include <cstdlib>

#include "platform/http/coding/gunzip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kMost = 100'000;
  const auto plain = starling::http::Gunzip({reinterpret_cast<const char*>(data), size},
                                            {.max_bytes = kMost, .max_ratio = 50});
  if (plain.ok() && plain->size() > kMost) std::abort();
  return 0;
}
