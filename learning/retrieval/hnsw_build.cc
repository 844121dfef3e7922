// Algorithms 1, 3 and 4 of the paper, one row after the other, largest norm first.
#include <algorithm>
#include <cmath>

#include "learning/models/fit_checks.h"
#include "learning/random.h"
#include "learning/retrieval/hnsw.h"
#include "learning/retrieval/hnsw_walk.h"

namespace starling::learning {
namespace {

constexpr size_t kMostLevel = 16;
constexpr size_t kRowsAReport = 1024;

Status CheckOptions(const QuantisedItems& items, const HnswOptions& options) {
  if (items.rows() == 0) return InvalidField("items", "there are none");
  if (options.neighbours < 2 || options.neighbours > 64) {
    return InvalidField("neighbours", "{} is outside 2 to 64; 16 is a good start",
                        options.neighbours);
  }
  return CheckAtLeast("width", static_cast<double>(options.width), 1);
}

}  // namespace

class HnswBuilder {
 public:
  HnswBuilder(const QuantisedItems& items, const HnswOptions& options)
      : items_(items), kernels_(BestScanKernels()), m_(options.neighbours), width_(options.width) {
    const size_t rows = items.rows();
    scales_.resize(rows);
    tails_.resize(rows);
    const double largest = items.norms()[0] > 0 ? items.norms()[0] : 1;
    for (size_t row = 0; row < rows; ++row) {
      const double norm = items.norms()[row] / largest;
      scales_[row] = static_cast<float>(items.scales()[row] / largest);
      tails_[row] = static_cast<float>(std::sqrt(1 - norm * norm));
    }
    links_.assign(rows * 2 * m_, kNoRow);
    offsets_.resize(rows + 1);
    Random random(options.seed);
    const double scale = 1 / std::log(static_cast<double>(m_));
    for (size_t row = 0; row < rows; ++row) {
      const auto level = static_cast<uint32_t>(-std::log(random.Unit()) * scale);
      offsets_[row + 1] = offsets_[row] + std::min<uint32_t>(level, kMostLevel);
    }
    upper_.assign(offsets_[rows] * m_, kNoRow);
  }

  // Algorithm 1.
  void Add(uint32_t row) {
    const size_t own = Levels(row);
    if (row == 0) {
      entry_ = 0;
      return;
    }
    size_t level = Levels(entry_);
    const auto links = [&](uint32_t from) { return std::span<const uint32_t>(Links(from, level)); };
    const auto similarity = [&](uint32_t to, int32_t dot) { return Similarity(row, to, dot); };
    const auto accepts = [](uint32_t) { return true; };
    const HnswWalk walk{items_, Codes(row), kernels_, links, similarity, accepts};
    scratch_.rows.assign(1, entry_);
    MeasureRows(items_, walk.codes, kernels_, similarity, scratch_);
    HnswNear start = scratch_.measured[0];
    for (; level > own; --level) start = Approach(walk, start, scratch_);
    for (;; --level) {
      (void)WalkLevel(walk, start, width_, items_.rows(), scratch_);
      std::vector<HnswNear> nearest = scratch_.nearest;
      std::sort(nearest.begin(), nearest.end(), Nearer);
      start = nearest[0];
      const std::vector<HnswNear> chosen = Choose(nearest, m_);
      Write(chosen, Links(row, level));
      for (const HnswNear& near : chosen) LinkBack(near.row, {near.similarity, row}, level);
      if (level == 0) break;
    }
    if (own > Levels(entry_)) entry_ = row;
  }

  HnswGraph Finish() && {
    HnswGraph graph;
    graph.neighbours_ = m_;
    graph.entry_ = Array<uint32_t>({entry_});
    graph.links_ = Array<uint32_t>(std::move(links_));
    graph.offsets_ = Array<uint32_t>(std::move(offsets_));
    graph.upper_ = Array<uint32_t>(std::move(upper_));
    return graph;
  }

 private:
  size_t Levels(uint32_t row) const { return offsets_[row + 1] - offsets_[row]; }
  const int8_t* Codes(uint32_t row) const { return items_.codes().data() + row * items_.stride(); }
  std::span<uint32_t> Links(uint32_t row, size_t level) {
    return level == 0 ? std::span(links_).subspan(2 * m_ * row, 2 * m_)
                      : std::span(upper_).subspan((offsets_[row] + level - 1) * m_, m_);
  }
  float Similarity(uint32_t a, uint32_t b, int32_t dot) const {
    return scales_[a] * scales_[b] * static_cast<float>(dot) + tails_[a] * tails_[b];
  }

  // Algorithm 4: of the candidates, nearest first, those that are nearer to the row than to any
  // that was chosen before, so that links lead into different directions.
  std::vector<HnswNear> Choose(const std::vector<HnswNear>& candidates, size_t most) {
    std::vector<HnswNear> chosen;
    chosen_rows_.clear();
    for (const HnswNear& candidate : candidates) {
      if (chosen.size() == most) break;
      if (!NearerToChosen(candidate)) {
        chosen.push_back(candidate);
        chosen_rows_.push_back(candidate.row);
      }
    }
    return chosen;
  }

  bool NearerToChosen(const HnswNear& candidate) {
    constexpr size_t kAtOnce = 8;
    int32_t dots[kAtOnce];
    for (size_t begin = 0; begin < chosen_rows_.size(); begin += kAtOnce) {
      const size_t count = std::min(kAtOnce, chosen_rows_.size() - begin);
      kernels_.dot_codes(items_.codes().data(), items_.stride(), chosen_rows_.data() + begin, count,
                         Codes(candidate.row), dots);
      for (size_t i = 0; i < count; ++i) {
        if (Similarity(candidate.row, chosen_rows_[begin + i], dots[i]) >= candidate.similarity) {
          return true;
        }
      }
    }
    return false;
  }

  static void Write(const std::vector<HnswNear>& chosen, std::span<uint32_t> links) {
    for (size_t i = 0; i < links.size(); ++i) {
      links[i] = i < chosen.size() ? chosen[i].row : kNoRow;
    }
  }

  // Adds a link from a row that may have all it can; then the best of them are chosen anew.
  void LinkBack(uint32_t from, HnswNear to, size_t level) {
    const std::span<uint32_t> links = Links(from, level);
    const auto end = std::find(links.begin(), links.end(), kNoRow);
    if (end != links.end()) {
      *end = to.row;
      return;
    }
    scratch_.rows.assign(links.begin(), links.end());
    MeasureRows(
        items_, Codes(from), kernels_,
        [&](uint32_t row, int32_t dot) { return Similarity(from, row, dot); }, scratch_);
    std::vector<HnswNear> candidates = scratch_.measured;
    candidates.push_back(to);
    std::sort(candidates.begin(), candidates.end(), Nearer);
    Write(Choose(candidates, links.size()), links);
  }

  const QuantisedItems& items_;
  const ScanKernels& kernels_;
  size_t m_;
  size_t width_;
  uint32_t entry_ = 0;
  // With the largest norm as 1.
  std::vector<float> scales_;
  std::vector<float> tails_;
  std::vector<uint32_t> links_;
  std::vector<uint32_t> offsets_;
  std::vector<uint32_t> upper_;
  HnswScratch scratch_;
  std::vector<uint32_t> chosen_rows_;
};

uint64_t HnswGraph::BuildMemory(size_t rows, const HnswOptions& options) {
  const uint64_t m = std::max<size_t>(options.neighbours, 2);
  // A row has 1 / (m - 1) levels above the lowest, on the average.
  const uint64_t links = 2 * m + m / (m - 1) + 1;
  return rows * (sizeof(uint32_t) * links + sizeof(uint32_t) + 2 * sizeof(float)) + rows / 8;
}

StatusOr<HnswGraph> HnswGraph::Build(const QuantisedItems& items, const HnswOptions& options,
                                     const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckOptions(items, options));
  HnswBuilder builder(items, options);
  for (uint32_t row = 0; row < items.rows(); ++row) {
    if (row % kRowsAReport == 0) {
      STARLING_RETURN_IF_ERROR(
          ReportProgress(progress, static_cast<double>(row) / static_cast<double>(items.rows())));
    }
    builder.Add(row);
  }
  return std::move(builder).Finish();
}

}  // namespace starling::learning
