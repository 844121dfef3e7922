#include "learning/metrics/beyond_accuracy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/math/parallel.h"

namespace starling::learning {
namespace {

constexpr double kSmoothing = 0.01;  // Steck's alpha: how much of p is in q'

// Items with the largest counts first; of equal ones the first.
std::vector<uint32_t> ByPopularity(std::span<const uint32_t> counts) {
  std::vector<uint32_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return counts[a] > counts[b]; });
  return order;
}

std::vector<double> Percentiles(std::span<const uint32_t> counts) {
  const std::vector<uint32_t> order = ByPopularity(counts);
  const auto items = static_cast<double>(counts.size());
  std::vector<double> percentile(counts.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && counts[order[end]] == counts[order[begin]]) ++end;
    const double above = static_cast<double>(begin + end) / 2;
    for (; begin < end; ++begin) percentile[order[begin]] = 1 - above / items;
  }
  return percentile;
}

double MeanOf(std::span<const double> of_item, std::span<const uint32_t> items) {
  double sum = 0;
  for (const uint32_t item : items) sum += of_item[item];
  return sum / static_cast<double>(items.size());
}

double GiniOf(const RankedLists& lists, size_t items) {
  std::vector<uint64_t> shown(items, 0);
  for (size_t list = 0; list < lists.size(); ++list) {
    for (const uint32_t item : lists[list]) ++shown[item];
  }
  std::sort(shown.begin(), shown.end());
  const auto n = static_cast<double>(items);
  double sum = 0;
  double weighed = 0;
  for (size_t j = 0; j < items; ++j) {
    const auto x = static_cast<double>(shown[j]);
    sum += x;
    weighed += (2 * static_cast<double>(j + 1) - n - 1) * x;
  }
  return sum > 0 ? weighed / (n * sum) : 0;
}

}  // namespace

std::vector<uint32_t> PopularityThirds(std::span<const uint32_t> counts) {
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  std::vector<uint32_t> groups(counts.size());
  uint64_t before = 0;
  for (const uint32_t item : ByPopularity(counts)) {
    groups[item] = before * 3 < total ? 0 : before * 3 < 2 * total ? 1 : 2;
    before += counts[item];
  }
  return groups;
}

struct BeyondAccuracy::OfUser {
  enum Column : size_t { kNovelty, kPopularity, kDiversity, kCalibration, kColumns };
  float columns[kColumns] = {};
  double share = 0;      // mean c_i / U of the list
  double had_share = 0;  // and of the history
  double had_percentile = 0;
  bool counts = false;
};

struct BeyondAccuracy::Scratch {
  std::vector<double> of_user;  // all 0 between calls
  std::vector<double> had, shown;
};

BeyondAccuracy::BeyondAccuracy(const Interactions& known, std::vector<uint32_t> groups, int threads)
    : known_(known), threads_(threads), groups_(std::move(groups)), users_of_(known.Transposed()) {
  const std::vector<uint32_t> counts = known.ItemCounts();
  if (groups_.empty()) groups_ = PopularityThirds(counts);
  for (const uint32_t group : groups_) group_count_ = std::max<size_t>(group_count_, group + 1);
  size_t users = 0;
  for (size_t user = 0; user < known.users(); ++user) users += known.row(user).size() > 0 ? 1 : 0;
  const auto all = static_cast<double>(std::max<size_t>(users, 1));
  for (const uint32_t count : counts) {
    share_.push_back(count / all);
    information_.push_back(-std::log2(std::max(count, 1U) / all));
  }
  percentile_ = Percentiles(counts);
}

// The pairs' cosines at once: with x_i the unit vector of who had item i, the dot product of x_i
// and the sum of the x before it, added up over the list.
double BeyondAccuracy::Distance(std::span<const uint32_t> list, Scratch& scratch) const {
  if (list.size() < 2) return 0;
  double cosines = 0;
  for (const uint32_t item : list) {
    const std::span<const uint32_t> users = users_of_.row(item).items;
    const double x = 1 / std::sqrt(static_cast<double>(users.size()));
    double before = 0;
    for (const uint32_t user : users) {
      before += scratch.of_user[user];
      scratch.of_user[user] += x;
    }
    if (!users.empty()) cosines += before * x;
  }
  for (const uint32_t item : list) {
    for (const uint32_t user : users_of_.row(item).items) scratch.of_user[user] = 0;
  }
  const auto places = static_cast<double>(list.size());
  return 1 - cosines / (places * (places - 1) / 2);
}

double BeyondAccuracy::Miscalibration(std::span<const uint32_t> had, std::span<const uint32_t> list,
                                      Scratch& scratch) const {
  std::fill(scratch.had.begin(), scratch.had.end(), 0.0);
  std::fill(scratch.shown.begin(), scratch.shown.end(), 0.0);
  for (const uint32_t item : had) scratch.had[groups_[item]] += 1 / static_cast<double>(had.size());
  for (const uint32_t item : list)
    scratch.shown[groups_[item]] += 1 / static_cast<double>(list.size());
  double divergence = 0;
  for (size_t group = 0; group < group_count_; ++group) {
    const double p = scratch.had[group];
    if (p == 0) continue;
    const double q = (1 - kSmoothing) * scratch.shown[group] + kSmoothing * p;
    divergence += p * std::log(p / q);
  }
  return std::max(divergence, 0.0);  // rounding
}

StatusOr<BeyondAccuracyFigures> BeyondAccuracy::Measure(std::span<const uint32_t> users,
                                                        const RankedLists& lists,
                                                        const BootstrapOptions& options) const {
  if (groups_.size() != known_.items()) {
    return InvalidField("groups", "has {} entries, and there are {} items", groups_.size(),
                        known_.items());
  }
  if (users.size() != lists.size()) {
    return InvalidField("lists", "has {} entries, and there are {} users", lists.size(),
                        users.size());
  }
  std::vector<OfUser> of_users(users.size());
  // Few chunks, as each makes room for all users.
  const size_t chunk = std::max<size_t>(64, users.size() / (8 * static_cast<size_t>(threads_)));
  ParallelFor(users.size(), threads_, chunk, [&](size_t begin, size_t end) {
    Scratch scratch{.of_user = std::vector<double>(known_.users(), 0),
                    .had = std::vector<double>(group_count_),
                    .shown = std::vector<double>(group_count_)};
    for (size_t n = begin; n < end; ++n) {
      const std::span<const uint32_t> had = known_.row(users[n]).items;
      const std::span<const uint32_t> list = lists[n];
      if (had.empty() || list.empty()) continue;
      OfUser& user = of_users[n];
      user.counts = true;
      user.columns[OfUser::kNovelty] = static_cast<float>(MeanOf(information_, list));
      user.columns[OfUser::kPopularity] = static_cast<float>(MeanOf(percentile_, list));
      user.columns[OfUser::kDiversity] = static_cast<float>(Distance(list, scratch));
      user.columns[OfUser::kCalibration] = static_cast<float>(Miscalibration(had, list, scratch));
      user.share = MeanOf(share_, list);
      user.had_share = MeanOf(share_, had);
      user.had_percentile = MeanOf(percentile_, had);
    }
  });
  BeyondAccuracyFigures figures;
  std::vector<float> columns;
  double share = 0;
  double had_share = 0;
  for (const OfUser& user : of_users) {
    if (!user.counts) continue;
    columns.insert(columns.end(), std::begin(user.columns), std::end(user.columns));
    share += user.share;
    had_share += user.had_share;
    figures.history_popularity += user.had_percentile;
    ++figures.users;
  }
  if (figures.users == 0) return figures;
  STARLING_ASSIGN_OR_RETURN(const std::vector<Interval> intervals,
                            BootstrapMeans(columns, OfUser::kColumns, options));
  figures.novelty = intervals[OfUser::kNovelty];
  figures.popularity = intervals[OfUser::kPopularity];
  figures.diversity = intervals[OfUser::kDiversity];
  figures.calibration = intervals[OfUser::kCalibration];
  figures.history_popularity /= static_cast<double>(figures.users);
  figures.popularity_lift = share / had_share - 1;
  figures.gini = GiniOf(lists, known_.items());
  return figures;
}

}  // namespace starling::learning
