#include "learning/retrieval/scan_kernels.h"

namespace starling::learning {
namespace {

constexpr size_t kLanes = 8;  // sums that do not wait for each other

float Dot(const float* a, const float* b, size_t size) {
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float total = 0;
  for (; i < size; ++i) total += a[i] * b[i];
  for (const float sum : sums) total += sum;
  return total;
}

template <typename Byte>
int32_t Dot(const int8_t* a, const Byte* b, size_t size) {
  int32_t total = 0;
  for (size_t i = 0; i < size; ++i) total += int32_t{a[i]} * int32_t{b[i]};
  return total;
}

size_t Scan(const float* rows, size_t count, size_t dimension, const float* query, float bar,
            float* scores, uint32_t* above) {
  size_t found = 0;
  for (size_t row = 0; row < count; ++row) {
    scores[row] = Dot(rows + row * dimension, query, dimension);
    if (scores[row] > bar) above[found++] = static_cast<uint32_t>(row);
  }
  return found;
}

void Score(const float* rows, size_t dimension, const uint32_t* of, size_t count,
           const float* query, float* scores) {
  for (size_t i = 0; i < count; ++i) scores[i] = Dot(rows + of[i] * dimension, query, dimension);
}

size_t ScanCodes(const CodeRows& rows, size_t count, const uint8_t* query, float bar, float* scores,
                 uint32_t* above) {
  size_t found = 0;
  for (size_t row = 0; row < count; ++row) {
    const int32_t dot = Dot(rows.codes + row * rows.stride, query, rows.stride) - rows.sums[row];
    scores[row] = rows.scales[row] * static_cast<float>(dot);
    if (scores[row] > bar) above[found++] = static_cast<uint32_t>(row);
  }
  return found;
}

void DotCodes(const int8_t* codes, size_t stride, const uint32_t* of, size_t count,
              const int8_t* query, int32_t* dots) {
  for (size_t i = 0; i < count; ++i) dots[i] = Dot(codes + of[i] * stride, query, stride);
}

constexpr ScanKernels kPlain = {"plain", Scan, Score, ScanCodes, DotCodes};

}  // namespace

std::vector<const ScanKernels*> RunnableScanKernels() {
  std::vector<const ScanKernels*> kernels = {&kPlain};
  for (const ScanKernels* level : internal::X86ScanKernels()) kernels.push_back(level);
  return kernels;
}

const ScanKernels& BestScanKernels() {
  static const ScanKernels& best = *RunnableScanKernels().back();
  return best;
}

}  // namespace starling::learning
