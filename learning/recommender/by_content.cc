// What a recommender says by content, of items that nobody had when it was made.
#include <algorithm>

#include "learning/recommender/packed_rows.h"
#include "learning/recommender/rank_flags.h"

namespace starling::learning {
namespace {

// The largest entries of a history that look for what is new in the catalogue, and how many of that
// are candidates of the second stage.
constexpr size_t kLookers = 100;
constexpr size_t kPoolCold = 20;

// Calls f(item, cosine) for each entry of a row.
template <typename F>
void ForEachAlike(std::span<const uint32_t> entries, const F& f) {
  uint32_t target = 0;
  for (const uint32_t entry : entries) {
    target += Gap(entry);
    if (const float weight = WeightOf(entry); weight > 0) f(target, weight);
  }
}

std::span<const uint32_t> RowOf(const Array<uint64_t>& offsets, const Array<uint32_t>& entries,
                                uint32_t item) {
  return entries.subspan(offsets[item], offsets[item + 1] - offsets[item]);
}

}  // namespace

// Adds to scratch.scores, in shares of the largest of them. Where a product is asked about: of
// those that nobody had, and of all when nothing else speaks. For a user: only when nothing else
// speaks, and only by what nobody had either, since the others' habits and popularity say more.
void Recommender::AddContent(const RankQuery& query, size_t spoken, RankScratch& scratch) const {
  const float largest = LargestMain(scratch);
  const bool alone = !(largest > 0);
  const bool of_user = !query.user.empty();
  if (of_user && !alone) return;
  float x = 0;
  for (size_t h = 0; h < spoken; ++h) x += scratch.history[h].x;
  if (!(x > 0)) return;
  const float scale = (alone ? 1 : kColdWeight * largest) / x;
  for (size_t h = 0; h < std::min(spoken, kLookers); ++h) {
    const RankScratch::Known& known = scratch.history[h];
    const bool from_cold = IsCold(known.item);
    if (of_user && !from_cold) continue;
    ForEachAlike(RowOf(content_offsets_, content_entries_, known.item),
                 [&](uint32_t target, float cosine) {
                   if (!alone && !from_cold && !IsCold(target)) return;
                   float& score = scratch.scores[target];
                   if (!scratch.dense && score == 0) {
                     scratch.touched.push_back(target);
                     score = MainOf(target, scratch);
                   }
                   score += known.x * cosine * scale;
                 });
  }
}

// The cold items that are most like what the user had, into the pool of the second stage.
void Recommender::TakeCold(size_t spoken, RankScratch& scratch) const {
  auto& side = scratch.side;
  auto& touched = scratch.side_touched;
  touched.clear();
  for (size_t h = 0; h < std::min(spoken, kLookers); ++h) {
    const RankScratch::Known& known = scratch.history[h];
    if (!(known.x > 0)) continue;
    ForEachAlike(RowOf(content_offsets_, content_entries_, known.item),
                 [&](uint32_t target, float cosine) {
                   if (!IsCold(target)) return;
                   if (side[target] == 0) touched.push_back(target);
                   side[target] += known.x * cosine;
                 });
  }
  const size_t kept = std::min(kPoolCold, touched.size());
  std::partial_sort(
      touched.begin(), touched.begin() + static_cast<ptrdiff_t>(kept), touched.end(),
      [&](uint32_t a, uint32_t b) { return side[a] != side[b] ? side[a] > side[b] : a < b; });
  for (size_t i = 0; i < kept; ++i) {
    const uint32_t item = touched[i];
    if ((scratch.flags[item] & (kHad | kOffered)) != 0) continue;
    Flag(item, kOffered, scratch);
    scratch.pool.push_back({item, std::max(0.0F, MainOf(item, scratch))});
    ++scratch.cold;
  }
  for (const uint32_t item : touched) side[item] = 0;
}

// The sum over the history of x_h times the cosine with the item: its row is what it is like.
float Recommender::ContentOf(uint32_t item, size_t spoken, const RankScratch& scratch) const {
  float sum = 0;
  ForEachAlike(RowOf(content_offsets_, content_entries_, item), [&](uint32_t other, float cosine) {
    const uint32_t at = scratch.position[other];
    if (at != 0 && at <= spoken) sum += scratch.history[at - 1].x * cosine;
  });
  return sum;
}

void Recommender::ExplainByContent(size_t spoken, const RankScratch& scratch,
                                   RankedItem& ranked) const {
  float largest = 0;
  ForEachAlike(RowOf(content_offsets_, content_entries_, ranked.item),
               [&](uint32_t other, float cosine) {
                 const uint32_t at = scratch.position[other];
                 if (at == 0 || at > spoken) return;
                 const RankScratch::Known& known = scratch.history[at - 1];
                 if (known.x * cosine <= largest) return;
                 largest = known.x * cosine;
                 SetReason(known, ranked);
               });
}

}  // namespace starling::learning
