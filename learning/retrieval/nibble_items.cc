#include "learning/retrieval/nibble_items.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "learning/retrieval/best_items.h"
#include "learning/retrieval/norms.h"

namespace starling::learning {
namespace {

constexpr float kLargestOfLower = 127;
constexpr float kMostRatio = 64;
constexpr uint8_t kNothing = kByteShift;  // two values of 0

size_t BlocksOf(size_t rows) { return (rows + kNibbleRows - 1) / kNibbleRows; }
size_t StepsOf(size_t dimension) { return (dimension + kNibbleStep - 1) / kNibbleStep; }

// The value that is largest by size; 0 when one is not finite.
float LargestOf(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) return 0;
    if (std::abs(value) > std::abs(largest)) largest = value;
  }
  return largest;
}

// Of what is to be rounded to whole bytes.
struct Size {
  double square = 0;
  float largest = 0;

  void Add(float value) {
    square += static_cast<double>(value) * value;
    largest = std::max(largest, std::abs(value));
  }
  // The least there may be, so that their norm in bytes is within `room` and each within `most`.
  float Unit(double room, float most) const {
    return std::max(static_cast<float>(1.0001 * std::sqrt(square) / room), largest / most);
  }
};

}  // namespace

uint64_t NibbleItems::MemoryOf(size_t items, size_t dimension) {
  const uint64_t of_block =
      StepsOf(dimension) * sizeof(NibbleStep) + (kNibbleRows + 1) * sizeof(float);
  return BlocksOf(items) * of_block + items * sizeof(uint32_t);
}

NibbleItems NibbleItems::Make(const ItemFactors& items) {
  NibbleItems made;
  made.dimension_ = items.dimension;
  made.steps_ = StepsOf(items.dimension);
  ItemsByNorm sorted = SortByNorm(items);
  made.item_ = std::move(sorted.items);
  const size_t blocks = BlocksOf(made.rows());
  NibbleStep nothing;
  std::ranges::fill(nothing.bytes, kNothing);
  made.codes_.assign(blocks * made.steps_, nothing);
  made.scales_.assign(blocks * kNibbleRows, 0);
  made.block_norms_.resize(blocks);
  for (size_t block = 0; block < blocks; ++block)
    made.block_norms_[block] = sorted.norms[made.item_[block * kNibbleRows]];
  for (size_t row = 0; row < made.rows(); ++row)
    made.EncodeRow(row, {items.row(made.item_[row]), items.dimension});
  return made;
}

void NibbleItems::EncodeRow(size_t row, std::span<const float> values) {
  const float scale = -LargestOf(values) / kLowerShift;
  const float inverse = 1 / scale;
  if (scale == 0 || !std::isfinite(inverse)) return;
  float product = 0, square = 0;  // of the codes with the values, and of the codes
  const auto code = [&](size_t f) {
    if (f >= values.size()) return 0;
    const float whole = std::clamp(std::nearbyint(values[f] * inverse), -8.0F, 7.0F);
    product += values[f] * inverse * whole;
    square += whole * whole;
    return static_cast<int>(whole);
  };
  double lower_square = 0, byte_square = 0;
  for (size_t step = 0; step < steps_; ++step) {
    NibbleStep& out = codes_[row / kNibbleRows * steps_ + step];
    for (size_t i = 0; i < 2; ++i) {
      const int lower = code(step * kNibbleStep + i);
      const int whole = lower + 16 * code(step * kNibbleStep + 2 + i);
      out.bytes[2 * (row % kNibbleRows) + i] = static_cast<uint8_t>(whole + kByteShift);
      lower_square += lower * lower;
      byte_square += whole * whole;
    }
  }
  scales_[row] = scale * product / square;
  lower_norm_ = std::max(lower_norm_, std::sqrt(lower_square));
  byte_norm_ = std::max(byte_norm_, std::sqrt(byte_square));
}

int NibbleItems::code(size_t row, size_t f) const {
  const NibbleStep& step = codes_[row / kNibbleRows * steps_ + f / kNibbleStep];
  const int byte = step.bytes[2 * (row % kNibbleRows) + f % 2];
  return (f % kNibbleStep < 2 ? byte & 15 : byte >> 4) - kLowerShift;
}

// That no sum is beyond kLargestSum: by Cauchy and Schwarz one is at most the norm of the row's
// codes times that of the query's bytes, and rounding n values to bytes adds at most sqrt(n) / 2 to
// their norm, which is therefore within kLargestSum / norm of the codes when it was within that
// less sqrt(n) / 2 before.
void NibbleItems::Encode(std::span<const float> query, NibbleQuery& codes) const {
  const size_t size = steps_ * kNibbleStep;
  codes.bytes.assign(size, 0);
  codes.of_scan = {.bytes = codes.bytes.data()};
  codes.scale = 0;
  const double rounding = std::sqrt(2.0 * static_cast<double>(steps_)) / 2;
  const double room_of_bytes = kLargestSum / std::max(byte_norm_, 1.0) - rounding;
  const double room_of_lower = kLargestSum / std::max(lower_norm_, 1.0) - rounding;
  if (LargestOf(query) == 0 || room_of_bytes < 1 || room_of_lower < 1) return;
  const auto value = [&](size_t f) { return f < dimension_ ? query[f] : 0.0F; };
  Size of_bytes, of_lower;
  for (size_t f = 0; f < size; ++f) (f % kNibbleStep < 2 ? of_lower : of_bytes).Add(value(f));
  // An upper half is sixteen of its byte.
  const float unit = std::max(of_bytes.Unit(room_of_bytes, kLargestOfByte) / 16,
                              of_lower.Unit(room_of_lower, kLargestOfLower) / kMostRatio);
  const float inverse = 1 / unit;
  if (!std::isfinite(inverse) || !(inverse > 0)) return;
  of_lower = {};
  // A byte's lower half is multiplied by what its upper half is, too.
  const auto left = [&](size_t f) {
    return value(f) * inverse - static_cast<float>(codes.bytes[f + 2]);
  };
  for (size_t f = 0; f < size; ++f) {
    if (f % kNibbleStep < 2) {
      const float of_upper = std::nearbyint(value(f + 2) * inverse / 16);
      codes.bytes[f + 2] = static_cast<int8_t>(of_upper);
      codes.of_scan.byte_sum += codes.bytes[f + 2];
      of_lower.Add(left(f));
    }
  }
  const float ratio = std::max(1.0F, std::ceil(of_lower.Unit(room_of_lower, kLargestOfLower)));
  for (size_t f = 0; f < size; ++f) {
    if (f % kNibbleStep < 2) {
      codes.bytes[f] = static_cast<int8_t>(std::nearbyint(left(f) / ratio));
      codes.of_scan.lower_sum += codes.bytes[f];
    }
  }
  codes.of_scan.ratio = static_cast<int>(ratio);
  codes.scale = unit;
}

std::vector<ScoredItem> NibbleItems::Retrieve(const ItemFactors& items,
                                              std::span<const float> query,
                                              const TopKOptions& options, size_t keep,
                                              NibbleQuery& scratch,
                                              const ScanKernels& kernels) const {
  // The bar of a stretch of blocks is that of its beginning; the first are short, as it rises
  // there.
  constexpr size_t kFirstBlocks = 2;
  constexpr size_t kBlocks = 16;
  if (options.k == 0 || rows() == 0) return {};
  Encode(query, scratch);
  if (scratch.scale == 0) return RetrieveTopK(items, query, options, kernels);
  const ItemFilter filter(options);
  BestOfMany best(std::min(std::max(keep, options.k), rows()));
  // Scores are in units of the query's scale.
  const float reach = NormOf(query) / scratch.scale;
  const size_t blocks = block_norms_.size();
  std::array<float, kBlocks * kNibbleRows> scores;
  std::array<uint32_t, kBlocks * kNibbleRows> above;
  size_t stretch = kFirstBlocks;
  for (size_t begin = 0; begin < blocks && block_norms_[begin] * reach > best.bar();
       begin += stretch, stretch = std::min(2 * stretch, kBlocks)) {
    const size_t count = std::min(stretch, blocks - begin);
    const size_t first = begin * kNibbleRows;
    const NibbleBlocks some{codes_.data() + begin * steps_, scales_.data() + first, steps_};
    const size_t found =
        kernels.scan_nibbles(some, count, scratch.of_scan, best.bar(), scores.data(), above.data());
    for (size_t i = 0; i < found; ++i) {
      const float score = scores[above[i]];
      const size_t row = first + above[i];
      if (row < rows() && score > best.bar() && filter.Allows(item_[row]))
        best.Add(item_[row], score);
    }
  }
  std::vector<ScoredItem> kept = best.Take();
  Rescore(items, query, options.k, kept, kernels);
  return kept;
}

}  // namespace starling::learning
