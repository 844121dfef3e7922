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

int32_t Dot(const int8_t* a, const int8_t* b, size_t size) {
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

size_t ScanNibbles(const NibbleBlocks& blocks, size_t count, const NibbleBytes& query, float bar,
                   float* scores, uint32_t* above) {
  size_t found = 0;
  const NibbleStep* codes = blocks.codes;
  for (size_t block = 0; block < count; ++block) {
    int32_t dots[kNibbleRows] = {};
    for (size_t step = 0; step < blocks.steps; ++step, ++codes) {
      const int8_t* q = query.bytes + step * kNibbleStep;
      for (size_t row = 0; row < kNibbleRows; ++row) {
        const int a = codes->bytes[2 * row];
        const int b = codes->bytes[2 * row + 1];
        const int lower = ((a & 15) - kLowerShift) * q[0] + ((b & 15) - kLowerShift) * q[1];
        dots[row] += (a - kByteShift) * q[2] + (b - kByteShift) * q[3] + query.ratio * lower;
      }
    }
    for (size_t row = 0; row < kNibbleRows; ++row) {
      const size_t at = block * kNibbleRows + row;
      scores[at] = blocks.scales[at] * static_cast<float>(dots[row]);
      if (scores[at] > bar) above[found++] = static_cast<uint32_t>(at);
    }
  }
  return found;
}

void DotCodes(const int8_t* codes, size_t stride, const uint32_t* of, size_t count,
              const int8_t* query, int32_t* dots) {
  for (size_t i = 0; i < count; ++i) dots[i] = Dot(codes + of[i] * stride, query, stride);
}

constexpr ScanKernels kPlain = {"plain", Scan, Score, ScanNibbles, DotCodes};

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
