#include "learning/ranking/boosted_trees.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

constexpr int kDeepest = 8;
constexpr size_t kSampledForBorders = 100'000;

struct Sums {
  float gradient = 0;
  float curvature = 0;
};

Status CheckOptions(const TreeExamples& examples, const BoostedTreesOptions& options) {
  if (examples.rows == 0) return InvalidField("rows", "is 0; there is nothing to learn from");
  if (examples.rows > std::numeric_limits<uint32_t>::max())
    return InvalidField("rows", "{} is above {}", examples.rows,
                        std::numeric_limits<uint32_t>::max());
  if (examples.targets.size() != examples.rows)
    return InvalidField("targets", "has {} values for {} rows", examples.targets.size(),
                        examples.rows);
  if (examples.columns.size() % examples.rows != 0 || examples.columns.empty())
    return InvalidField("columns", "has {} values, which is no multiple of the {} rows",
                        examples.columns.size(), examples.rows);
  const size_t features = examples.columns.size() / examples.rows;
  if (features > kMostTreeFeatures)
    return InvalidField("columns", "has {} features; at most {} are taken", features,
                        kMostTreeFeatures);
  if (options.trees < 1 || options.trees > 100'000)
    return InvalidField("trees", "{} is outside 1 to 100000", options.trees);
  if (options.depth < 1 || options.depth > kDeepest)
    return InvalidField("depth", "{} is outside 1 to {}", options.depth, kDeepest);
  if (options.bins < 2 || options.bins > 255)
    return InvalidField("bins", "{} is outside 2 to 255", options.bins);
  STARLING_RETURN_IF_ERROR(CheckPositive("learning_rate", options.learning_rate));
  STARLING_RETURN_IF_ERROR(CheckPositive("lambda", options.lambda));
  for (const auto& [name, share] :
       {std::pair{"feature_share", options.feature_share}, {"row_share", options.row_share}}) {
    if (!(share > 0) || !(share <= 1))
      return InvalidField(name, "{} is no share above 0 and at most 1", share);
  }
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  return CheckMemory(BoostedTreesMemory(examples, options), options.memory_limit,
                     "give fewer examples");
}

// Between each two of them lies about the same number of the values.
std::vector<float> QuantileBorders(std::span<const float> column, int bins) {
  const size_t step = std::max<size_t>(1, column.size() / kSampledForBorders);
  std::vector<float> sample;
  sample.reserve(column.size() / step + 1);
  for (size_t row = 0; row < column.size(); row += step) {
    if (!std::isnan(column[row])) sample.push_back(column[row]);
  }
  std::sort(sample.begin(), sample.end());
  std::vector<float> borders;
  for (int bin = 1; bin < bins && !sample.empty(); ++bin) {
    const size_t at = sample.size() * static_cast<size_t>(bin) / static_cast<size_t>(bins);
    const float border = sample[std::min(at, sample.size() - 1)];
    // What equals a border lies below it, so the largest value divides nothing.
    if (border < sample.back() && (borders.empty() || border > borders.back()))
      borders.push_back(border);
  }
  // The smallest value alone is often "none".
  if (!sample.empty() && sample.front() < sample.back() &&
      (borders.empty() || sample.front() < borders.front()))
    borders.insert(borders.begin(), sample.front());
  return borders;
}

}  // namespace

uint64_t BoostedTreesMemory(const TreeExamples& examples, const BoostedTreesOptions& options) {
  const uint64_t rows = examples.rows;
  const uint64_t features = examples.columns.size() / std::max<uint64_t>(1, rows);
  const auto trees = static_cast<uint64_t>(options.trees);
  // A byte a quantised value and one for the leaf, score, gradient and curvature; rows drawn.
  const auto drawn = static_cast<uint64_t>(static_cast<double>(rows) * options.row_share);
  const uint64_t of_rows = rows * (features + 13) + 4 * drawn;
  const uint64_t of_trees =
      trees * 8 * static_cast<uint64_t>(options.depth) + (trees * 4 << options.depth);
  const uint64_t sample = 4 * std::min<uint64_t>(rows, 2 * kSampledForBorders);
  return of_rows + of_trees + sample * static_cast<uint64_t>(options.threads);
}

class TreeGrower {
 public:
  TreeGrower(const TreeExamples& examples, const BoostedTreesOptions& options)
      : options_(options),
        rows_(examples.rows),
        features_(examples.columns.size() / examples.rows),
        targets_(examples.targets),
        random_(options.seed) {
    borders_.resize(features_);
    binned_.resize(features_ * rows_);
    ParallelFor(features_, options.threads, 1, [&](size_t begin, size_t end) {
      for (size_t f = begin; f < end; ++f) Quantise(examples.columns.subspan(f * rows_, rows_), f);
    });
  }

  StatusOr<BoostedTrees> Grow(const Progress& progress) {
    const auto positive = static_cast<double>(std::count(targets_.begin(), targets_.end(), 1));
    // Half an example of each answer, so that a fit with one answer only stays finite.
    const auto bias = static_cast<float>(
        std::log((positive + 0.5) / (static_cast<double>(rows_) - positive + 0.5)));
    std::vector<float> scores(rows_, bias);
    leaf_.resize(rows_);
    gradient_.resize(rows_);
    curvature_.resize(rows_);
    std::vector<uint32_t> asked;
    std::vector<float> borders;
    std::vector<float> leaves;
    const auto trees = static_cast<size_t>(options_.trees);
    const auto depth = static_cast<size_t>(options_.depth);
    asked.reserve(trees * depth);
    borders.reserve(trees * depth);
    leaves.reserve(trees << depth);
    drawn_.reserve(rows_);  // only what is drawn is touched
    importance_.assign(features_, 0);
    for (int tree = 0; tree < options_.trees; ++tree) {
      STARLING_RETURN_IF_ERROR(
          ReportProgress(progress, static_cast<double>(tree) / options_.trees));
      DrawRows();
      SetGradients(scores);
      std::fill(leaf_.begin(), leaf_.end(), uint8_t{0});
      for (int level = 0; level < options_.depth; ++level) {
        const Question question = BestQuestion(size_t{1} << level);
        asked.push_back(static_cast<uint32_t>(question.feature));
        borders.push_back(question.border);
        Divide(question, level);
      }
      AddLeaves(scores, leaves);
    }
    BoostedTrees fitted;
    fitted.features_ = features_;
    fitted.depth_ = static_cast<size_t>(options_.depth);
    fitted.bias_ = bias;
    fitted.asked_ = Array<uint32_t>(std::move(asked));
    fitted.borders_ = Array<float>(std::move(borders));
    fitted.leaves_ = Array<float>(std::move(leaves));
    fitted.shape_ = Array<double>(std::vector<double>{static_cast<double>(features_),
                                                      static_cast<double>(options_.depth), bias});
    double all = 0;
    for (const double gain : importance_) all += gain;
    for (double& gain : importance_) gain = all > 0 ? gain / all : 0;
    fitted.importance_ = std::move(importance_);
    return fitted;
  }

 private:
  struct Question {
    size_t feature = 0;
    size_t bin = 255;  // bins above it say yes; 255: none does
    float border = std::numeric_limits<float>::infinity();
    double gain = 0;
  };

  void Quantise(std::span<const float> column, size_t feature) {
    borders_[feature] = QuantileBorders(column, options_.bins);
    const std::vector<float>& borders = borders_[feature];
    uint8_t* to = binned_.data() + feature * rows_;
    for (size_t row = 0; row < rows_; ++row) {
      to[row] =
          std::isnan(column[row])
              ? 0
              : static_cast<uint8_t>(std::lower_bound(borders.begin(), borders.end(), column[row]) -
                                     borders.begin());
    }
  }

  void DrawRows() {
    drawn_.clear();
    const auto bar = static_cast<uint64_t>(options_.row_share * 0x1p32);
    for (size_t row = 0; row < rows_; ++row) {
      if ((random_.Next() >> 32) < bar) drawn_.push_back(static_cast<uint32_t>(row));
    }
    if (drawn_.empty()) drawn_.push_back(0);
  }

  void SetGradients(const std::vector<float>& scores) {
    ParallelFor(rows_, options_.threads, 1 << 16, [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) {
        const float p = 1 / (1 + std::exp(-scores[row]));
        gradient_[row] = p - static_cast<float>(targets_[row]);
        curvature_[row] = std::max(p * (1 - p), 1e-6F);
      }
    });
  }

  // Which features this level may ask about.
  std::vector<size_t> DrawFeatures() {
    std::vector<size_t> drawn;
    for (size_t f = 0; f < features_; ++f) {
      const bool taken = random_.Unit() <= options_.feature_share;
      if (taken && !borders_[f].empty()) drawn.push_back(f);
    }
    for (size_t f = 0; drawn.empty() && f < features_; ++f) {
      if (!borders_[f].empty()) drawn.push_back(f);
    }
    return drawn;
  }

  Question BestQuestion(size_t leaves) {
    const std::vector<size_t> features = DrawFeatures();
    std::vector<Question> best(features.size());
    ParallelFor(features.size(), options_.threads, 1, [&](size_t begin, size_t end) {
      std::vector<Sums> histogram;
      for (size_t i = begin; i < end; ++i) best[i] = BestBorder(features[i], leaves, histogram);
    });
    Question chosen;
    for (const Question& question : best) {
      if (question.gain > chosen.gain) chosen = question;
    }
    if (chosen.bin < 255) importance_[chosen.feature] += chosen.gain;
    return chosen;
  }

  Question BestBorder(size_t feature, size_t leaves, std::vector<Sums>& histogram) const {
    const size_t bins = borders_[feature].size() + 1;
    histogram.assign(leaves * bins, Sums());
    const uint8_t* binned = binned_.data() + feature * rows_;
    for (const uint32_t row : drawn_) {
      Sums& sums = histogram[leaf_[row] * bins + binned[row]];
      sums.gradient += gradient_[row];
      sums.curvature += curvature_[row];
    }
    std::vector<double> gain(bins - 1, 0);
    for (size_t leaf = 0; leaf < leaves; ++leaf) {
      const Sums* of_leaf = histogram.data() + leaf * bins;
      double g = 0;
      double h = 0;
      for (size_t bin = 0; bin < bins; ++bin) {
        g += of_leaf[bin].gradient;
        h += of_leaf[bin].curvature;
      }
      const double whole = g * g / (h + options_.lambda);
      double left_g = 0;
      double left_h = 0;
      for (size_t bin = 0; bin + 1 < bins; ++bin) {
        left_g += of_leaf[bin].gradient;
        left_h += of_leaf[bin].curvature;
        const double right_g = g - left_g;
        const double right_h = std::max(0.0, h - left_h);
        gain[bin] += left_g * left_g / (left_h + options_.lambda) +
                     right_g * right_g / (right_h + options_.lambda) - whole;
      }
    }
    Question best;
    for (size_t bin = 0; bin + 1 < bins; ++bin) {
      if (gain[bin] > best.gain) best = {feature, bin, borders_[feature][bin], gain[bin]};
    }
    return best;
  }

  void Divide(const Question& question, int level) {
    if (question.bin == 255) return;
    const uint8_t* binned = binned_.data() + question.feature * rows_;
    for (size_t row = 0; row < rows_; ++row) {
      leaf_[row] = static_cast<uint8_t>(
          leaf_[row] | static_cast<uint8_t>((binned[row] > question.bin ? 1 : 0) << level));
    }
  }

  void AddLeaves(std::vector<float>& scores, std::vector<float>& leaves) {
    std::vector<double> g(size_t{1} << options_.depth, 0);
    std::vector<double> h(g.size(), 0);
    for (const uint32_t row : drawn_) {
      g[leaf_[row]] += gradient_[row];
      h[leaf_[row]] += curvature_[row];
    }
    const size_t first = leaves.size();
    for (size_t leaf = 0; leaf < g.size(); ++leaf) {
      leaves.push_back(
          static_cast<float>(-options_.learning_rate * g[leaf] / (h[leaf] + options_.lambda)));
    }
    for (size_t row = 0; row < rows_; ++row) scores[row] += leaves[first + leaf_[row]];
  }

  const BoostedTreesOptions& options_;
  const size_t rows_;
  const size_t features_;
  const std::span<const uint8_t> targets_;
  Random random_;
  std::vector<std::vector<float>> borders_;  // of each feature, ascending
  std::vector<uint8_t> binned_;              // features x rows: how many borders lie below
  std::vector<uint8_t> leaf_;
  std::vector<float> gradient_, curvature_;
  std::vector<uint32_t> drawn_;
  std::vector<double> importance_;
};

StatusOr<BoostedTrees> FitBoostedTrees(const TreeExamples& examples,
                                       const BoostedTreesOptions& options,
                                       const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckOptions(examples, options));
  return TreeGrower(examples, options).Grow(progress);
}

void BoostedTrees::Score(const float* columns, size_t count, std::vector<uint32_t>& scratch,
                         float* scores) const {
  scratch.resize(count);
  std::fill(scores, scores + count, bias_);
  BestKernels().sum_leaves({.columns = columns,
                            .count = count,
                            .asked = asked_.data(),
                            .borders = borders_.data(),
                            .leaves = leaves_.data(),
                            .trees = trees(),
                            .depth = depth_},
                           scratch.data(), scores);
}

void BoostedTrees::AddToBias(double shift) {
  bias_ += static_cast<float>(shift);
  shape_ = Array<double>(
      std::vector<double>{static_cast<double>(features_), static_cast<double>(depth_), bias_});
}

void BoostedTrees::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("trees.shape", shape_);
  writer.Add<uint32_t>("trees.features", asked_, trees(), depth_);
  writer.Add<float>("trees.borders", borders_, trees(), depth_);
  writer.Add<float>("trees.leaves", leaves_, trees(), size_t{1} << depth_);
}

StatusOr<BoostedTrees> BoostedTrees::Open(const Artifact& artifact) {
  BoostedTrees opened;
  STARLING_ASSIGN_OR_RETURN(opened.shape_, artifact.Get<double>("trees.shape", 3));
  const double features = opened.shape_[0];
  const double depth = opened.shape_[1];
  if (!(features >= 1) || !(features <= static_cast<double>(kMostTreeFeatures)) ||
      features != std::floor(features) || !(depth >= 1) || !(depth <= kDeepest) ||
      depth != std::floor(depth) || !std::isfinite(opened.shape_[2])) {
    return DataLoss("section 'trees.shape' has {} features and depth {}, which no trees have",
                    features, depth);
  }
  opened.features_ = static_cast<size_t>(features);
  opened.depth_ = static_cast<size_t>(depth);
  opened.bias_ = static_cast<float>(opened.shape_[2]);
  STARLING_ASSIGN_OR_RETURN(const Matrix<uint32_t> asked, artifact.Get<uint32_t>("trees.features"));
  opened.asked_ = asked.values;
  if (opened.asked_.size() % opened.depth_ != 0) {
    return DataLoss("section 'trees.features' has {} values, no multiple of the depth {}",
                    opened.asked_.size(), opened.depth_);
  }
  if (std::any_of(opened.asked_.begin(), opened.asked_.end(),
                  [&](uint32_t feature) { return feature >= opened.features_; })) {
    return DataLoss("section 'trees.features' asks about a feature beyond the {} there are",
                    opened.features_);
  }
  STARLING_ASSIGN_OR_RETURN(opened.borders_,
                            artifact.Get<float>("trees.borders", opened.asked_.size()));
  STARLING_ASSIGN_OR_RETURN(
      opened.leaves_,
      artifact.Get<float>("trees.leaves", (opened.asked_.size() / opened.depth_) << opened.depth_));
  if (!std::all_of(opened.leaves_.begin(), opened.leaves_.end(),
                   [](float leaf) { return std::isfinite(leaf); })) {
    return DataLoss("section 'trees.leaves' has a value that is no number");
  }
  return opened;
}

}  // namespace starling::learning
