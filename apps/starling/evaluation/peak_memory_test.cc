#include "apps/starling/evaluation/peak_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace starling {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Written to, so that it is resident.
std::unique_ptr<char[]> Taken(size_t bytes) {
  auto memory = std::make_unique<char[]>(bytes);
  std::memset(memory.get(), 1, bytes);
  return memory;
}

TEST(PeakMemory, IsWhatWasTakenAtOnceAlsoWhenItWasFreed) {
  PeakMemory peak;
  peak.Begin();
  Taken(64 * kMiB);
  Taken(32 * kMiB);
  EXPECT_GT(peak.End(), 60 * kMiB);
}

TEST(PeakMemory, ForgetsWhatCameBefore) {
  const auto kept = Taken(96 * kMiB);
  Taken(96 * kMiB);
  PeakMemory peak;
  peak.Begin();
  const auto little = Taken(8 * kMiB);
  EXPECT_LT(peak.End(), 48 * kMiB) << "what is resident already, or was, is not of this work";
  EXPECT_EQ(kept[0] + little[0], 2);
}

}  // namespace
}  // namespace starling
