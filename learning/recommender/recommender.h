// What recommends: one file that holds the models, the names, and what every user did until it was
// made; opened, it ranks the items for one user.
//
//   STARLING_ASSIGN_OR_RETURN(Recommender recommender, Recommender::Open(bytes, mapping));
//   RankScratch scratch;                                            // one a thread
//   std::span<const RankedItem> best =
//       recommender.Rank({.user = "u7", .signals = newest, .limit = 10, .now = now}, scratch);
//
//   artifact kind "recommender" (artifact.h), sections:
//   ids.*              the items' names (id_table.h)
//   settings    f64    RecommenderSettings, in its order
//   algorithm   u8     "ease+popularity"
//   popularity  f32    for each item, from 0 to 1
//   popular     u32    items by descending popularity
//   rows.offsets u64, rows.targets u32, rows.weights f32      item-to-item weights, when it has
//   them
//   factors     u8     an artifact of kind "als" or "sampled_mf", when it has them; then maybe
//   graph u8, an artifact of kind "hnsw" (retrieval/hnsw.h) over them propensity  f32    of each
//   item to be taken again, when it has them users       u8     an artifact with the users' names
//   history.offsets u64, .items u32, .weights f32, .x f32, .goals f32   of each user, by descending
//   x
//   items.facts   f32  items x 16 (ranking/item_facts.h), and history.facts f32, entries x 4
//   (PairFacts), when there is a second stage; items.groups u32, items x 4 (item_attributes.h), and
//   groups.offsets u32, groups.popular u32 (PopularByGroup) when the catalogue was read; trees.*
//   (ranking/boosted_trees.h) once it is fitted
//   next_basket u8     an artifact of that kind (models/next_basket.h), when it has one; then
//   history.frequency f32 of each entry, and history.baskets u32, how many each user had
//   content.offsets u64, content.entries u32    of each item those described alike, in both
//   directions and packed as rows are (models/content.h), when the catalogue was read
//   vectors     f32  items x their dimension, for a vector store (models/item_vectors.h); zeros for
//   an item without one
//
//   score(i) = main(i) / max main + w_p popularity(i) + w_r repeat(i) / max repeat,
//   main(i)  = sum over the history of x_h W_hi, or user vector . factors of i, or what next_basket
//   says when there is neither,
//   repeat(i) = propensity(i) g_i,      x = strength 2^(-age / half_life),
//
// x counts an item by the strongest thing that the user did with it and the last time of that; g is
// the number of its goals (purchases), each halved every repeat_half_life. Ages are counted from
// the newest thing that the user did: only their differences change a ranking, and a history that
// is old as a whole loses nothing to rounding. Only the `history_cap` largest x speak. Items that
// nothing speaks for follow by popularity. Training measures a model by this same code, so what is
// measured is what is served.
//
// The models know the first of the items, the others nobody had yet. What goes with a product is
// also said of those, and of such a product itself, by content: at kColdWeight times the largest
// main and the cosine, so that a new product comes among those that few had with it.
//
// With trees there is a second stage, for who has a history: candidates of all sources (those with
// the best main, what the user had, what is popular) are described by some forty numbers
// (second_stage.h) and ranked by how likely the trees hold the next purchase. What goes with a
// product, which nobody in particular asks, is ranked by the first stage alone.
//
// Immutable and thread-safe. With item-to-item weights Rank allocates nothing once its scratch has
// grown, and costs min(history, history_cap) x row length, whatever the catalogue
// (bench_recommender measures it); with factors it reads those of every item, or asks an index for
// the best (MakeIndex). With next_basket it writes a number for every item, and allocates where
// there are newer purchases.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/artifact.h"
#include "learning/id_table.h"
#include "learning/math/array.h"
#include "learning/models/factor_model.h"
#include "learning/models/next_basket.h"
#include "learning/ranking/boosted_trees.h"
#include "learning/recommender/second_stage.h"
#include "learning/retrieval/retrieval_index.h"
#include "platform/base/status.h"

namespace starling::learning {

inline constexpr std::string_view kRecommenderKind = "recommender";

// Below this many items all factors are read: that is as quick, and exact.
inline constexpr size_t kIndexFrom = 10'000;

// The kinds of event that can have a weight.
enum class EventKind : uint8_t { kOther = 0, kView, kClick, kCart, kPurchase, kRate, kImpression };
inline constexpr size_t kEventKinds = 7;
// "view", "click", "cart", "purchase", "rate", "impression"; kOther for anything else.
EventKind ParseEventKind(std::string_view name);

// What an event is for: purchases, where there are any; every event where people only look.
enum class Goal : uint8_t { kPurchase = 0, kAnything = 1 };

struct RecommenderSettings {
  int64_t until = 0;  // unix seconds; events up to here are in it
  Goal goal = Goal::kPurchase;
  double half_life = 0;                           // seconds; 0: never ages
  double repeat_half_life = 0;                    // seconds; 0: never ages
  double popularity_weight = 0;                   // w_p
  double repeat_weight = 0;                       // w_r
  size_t history_cap = 100;                       // at least 1
  std::array<double, kEventKinds> strength = {};  // by EventKind
};

// 2^(-age / half_life); 1 when half_life is 0, and for what lies in the future.
double Decay(double half_life, int64_t time, int64_t now);

struct RankSignal {
  std::string_view item;
  EventKind kind = EventKind::kOther;
  float weight = 0;  // 0: as settings.strength says for the kind
  int64_t time = 0;  // unix seconds; 0: now
};

struct RankQuery {
  std::string_view user;
  // Of a known user, what is not newer than settings.until is ignored: it is in the history.
  std::span<const RankSignal> signals;
  std::span<const std::string_view> candidates;  // empty: all items
  std::span<const std::string_view> excluded;
  size_t limit = 10;
  bool allow_repeats = false;
  int64_t now = 0;  // unix seconds
};

// What a user did with an item: goals (purchases), and the days from the first and the last of them
// to settings.until; after it they are negative.
struct PairFacts {
  float times = 0;
  float first_days = 0;
  float last_days = 0;
  float lately = 0;  // goals, each halved every kLatelyHalfLife until settings.until
};
inline constexpr size_t kPairFacts = 4;
inline constexpr double kLatelyHalfLife = 14 * kDay;
inline constexpr float kColdWeight = 0.5F;

struct RankedItem {
  enum class Source : uint8_t { kSimilar, kFactors, kRepeat, kPopular };
  uint32_t item = 0;
  float score = 0;
  Source source = Source::kPopular;
  // kSimilar: the item of the history that added most to its score.
  std::optional<uint32_t> because;
  // What the user did with that one; kOther when several kinds are as strong.
  EventKind because_kind = EventKind::kOther;
};

// Buffers of one thread, for recommenders of any size. The result of a Rank lives in it until the
// next one. 9 bytes an item of the largest recommender, 13 with next_basket or content.
class RankScratch {
 private:
  friend class Recommender;
  struct Known {  // what the user did with one item
    uint32_t item;
    float weight;
    float x;
    float goals;
    EventKind kind;  // the one that gave `weight`
    PairFacts facts;
    float frequency = 0;  // models/next_basket.h
  };
  struct Pooled {  // a candidate of the second stage
    uint32_t item;
    float main;
  };
  std::vector<float> scores;       // all 0 between calls
  std::vector<uint32_t> position;  // of an item in `history`, from 1; all 0 between calls
  std::vector<uint8_t> flags;      // all 0 between calls
  std::vector<uint32_t> touched;
  bool dense = false;     // scores are read whole, touched is empty
  bool by_index = false;  // scores has those in touched only; of another item, MainOf
  float unseen = 0;       // what an item that is not in touched has at most
  std::vector<uint32_t> flagged;
  size_t candidates = 0;  // the first of `flagged`
  std::vector<Known> history;
  std::vector<float> user;
  std::vector<uint32_t> kept_out;
  RetrievalScratch retrieval;
  std::vector<float> side;  // all 0 between calls
  std::vector<uint32_t> side_touched;
  std::vector<HistoryItem> newer;  // goals after settings.until
  std::vector<FrequencyEntry> own;
  NeighbourScratch neighbours;
  std::vector<HistoryItem> folded;
  std::vector<RankedItem> best;
  std::vector<Pooled> pool;
  size_t cold = 0;             // the last of the pool
  std::vector<float> columns;  // second_stage.h: features x pool
  std::vector<float> ordered;
  std::vector<uint32_t> leaf;
  struct OfGroup {
    float x = 0;
    float items = 0;
  };
  std::vector<OfGroup> groups;  // all 0 between calls
  std::vector<uint32_t> groups_used;
};

// What the second stage sees of one user: feature f of candidate c is columns[f * items.size() +
// c].
struct RankExamples {
  std::vector<uint32_t> items;
  std::span<const float> columns;
  size_t cold = 0;  // how many of the last are new in the catalogue, found by content
};

class Recommender {
 public:
  // Every index is checked. DATA_LOSS says what is wrong with the bytes.
  static StatusOr<Recommender> Open(std::span<const std::byte> bytes,
                                    const std::shared_ptr<const void>& owner,
                                    Checksums checksums = Checksums::kVerify);

  // From now on a ranking by factors asks an index for the best instead of reading all of them;
  // which one is chosen by the vectors of its own users (RetrievalOptions says the rest; `k`,
  // `sample`, `queries` and `made_graph` are set here). With an approximate one, what is ranked is
  // `least_recall` of the exact ranking or more on the average, each item at its exact score. Does
  // nothing where there are no factors or fewer items than `least_items`. Not thread-safe: before
  // the first Rank. Takes what RetrievalIndex::Make takes, but builds no graph, which a training
  // may have done; 0.2 s for 65,000 items.
  Status MakeIndex(const SecondsNow& now, const RetrievalOptions& options = {},
                   size_t least_items = kIndexFrom);
  // nullptr when there is none.
  const RetrievalIndex* index() const { return index_.get(); }

  // Of a known user without signals the ranking is the same at any time, and what is excluded is
  // only left out of it: it may be kept.
  std::span<const RankedItem> Rank(const RankQuery& query, RankScratch& scratch) const;

  // The candidates of the second stage and what it is told of them, also before its trees are
  // fitted: so a training learns from the very numbers that serving will see. Empty without facts.
  RankExamples Describe(const RankQuery& query, RankScratch& scratch) const;

  const RecommenderSettings& settings() const { return settings_; }
  std::string_view algorithm() const { return algorithm_; }
  size_t items() const { return ids_.size(); }
  size_t users() const { return users_.size(); }
  std::string_view ItemId(uint32_t item) const { return ids_.Id(item); }
  std::string_view UserId(uint32_t user) const { return users_.Id(user); }
  std::optional<uint32_t> FindItem(std::string_view item) const { return ids_.Find(item); }
  // What a vector store searches: of each item a row, zeros when it has none. Nothing in what older
  // trainings made, and where they did not fit into memory; dimension 0 then.
  size_t vector_dimension() const { return vector_dimension_; }
  std::span<const float> VectorOf(uint32_t item) const {
    return vectors_.subspan(item * vector_dimension_, vector_dimension_);
  }
  bool KnowsUser(std::string_view user) const { return users_.Find(user).has_value(); }

 private:
  Recommender() = default;
  Status OpenRows(const Artifact& artifact);
  Status OpenGraph(const Artifact& artifact, const std::shared_ptr<const void>& owner);
  Status OpenSecondStage(const Artifact& artifact);
  Status OpenNextBasket(const Artifact& artifact, const std::shared_ptr<const void>& owner);
  Status OpenContent(const Artifact& artifact);
  Status OpenVectors(const Artifact& artifact);
  Status OpenHistory(const Artifact& artifact, const std::shared_ptr<const void>& owner);
  int64_t Newest(const RankQuery& query, bool known) const;
  EventKind KindOf(float weight) const;
  void Collect(const RankQuery& query, RankScratch& scratch) const;
  void MarkAllowed(const RankQuery& query, RankScratch& scratch) const;
  size_t Spoken(RankScratch& scratch) const;
  void ScoreMain(size_t spoken, RankScratch& scratch) const;
  bool FoldInFactors(size_t spoken, RankScratch& scratch) const;
  void ScoreAllByFactors(RankScratch& scratch) const;
  void ScoreNamed(RankScratch& scratch) const;
  float MainOf(uint32_t item, const RankScratch& scratch) const;
  std::vector<ScoredItem> AskIndex(size_t k, uint8_t without, RankScratch& scratch) const;
  std::vector<float> VectorsOfUsers(size_t count) const;
  void TakeBestByIndex(const RankQuery& query, size_t spoken, RankScratch& scratch) const;
  void FoldInBaskets(const RankQuery& query, RankScratch& scratch) const;
  void ScoreNextBasket(RankScratch& scratch) const;
  void DescribeNextBasket(RankScratch& scratch) const;
  bool IsCold(uint32_t item) const { return popularity_[item] == 0; }
  void AddContent(const RankQuery& query, size_t spoken, RankScratch& scratch) const;
  void TakeCold(size_t spoken, RankScratch& scratch) const;
  float ContentOf(uint32_t item, size_t spoken, const RankScratch& scratch) const;
  void ExplainByContent(size_t spoken, const RankScratch& scratch, RankedItem& ranked) const;
  void SetReason(const RankScratch::Known& known, RankedItem& ranked) const;
  float LargestMain(const RankScratch& scratch) const;
  bool TakeBest(const RankQuery& query, RankScratch& scratch) const;
  void MakeRoom(RankScratch& scratch) const;
  void TakePool(const RankQuery& query, size_t spoken, RankScratch& scratch) const;
  void DescribePool(const RankQuery& query, size_t spoken, RankScratch& scratch) const;
  void AddUpGroups(RankScratch& scratch) const;
  void TakeBestOfPool(const RankQuery& query, RankScratch& scratch) const;
  void Fill(const RankQuery& query, RankScratch& scratch) const;
  void Explain(size_t spoken, RankScratch& scratch) const;
  // Whether the trees are told of content, or may be.
  bool TellsContent() const {
    return !content_offsets_.empty() && (!trees_.has_value() || trees_->features() > kContent);
  }
  // What an item's main score comes from.
  RankedItem::Source MainSource() const {
    const bool similar =
        !row_offsets_.empty() || !(factors_ != nullptr || next_basket_.has_value());
    return similar ? RankedItem::Source::kSimilar : RankedItem::Source::kFactors;
  }
  static void Flag(uint32_t item, uint8_t flag, RankScratch& scratch);
  static void Clear(RankScratch& scratch);

  RecommenderSettings settings_;
  std::string algorithm_;
  IdTable ids_;
  IdTable users_;
  Array<float> popularity_;
  Array<uint32_t> popular_;
  Array<uint64_t> row_offsets_;  // empty: no item-to-item weights
  Array<uint32_t> row_entries_;
  Array<uint64_t> source_offsets_;
  Array<uint32_t> source_entries_;
  std::shared_ptr<const FactorModel> factors_;  // nullptr: none
  std::shared_ptr<const HnswGraph> graph_;      // over them, or nullptr
  std::shared_ptr<const RetrievalIndex> index_;
  Array<float> propensity_;  // empty: none
  Array<uint64_t> history_offsets_;
  Array<uint32_t> history_items_;
  Array<float> history_weights_;
  Array<float> history_x_;
  Array<float> history_goals_;
  Array<float> history_facts_;  // empty: no second stage
  Array<float> item_facts_;
  Array<uint32_t> item_groups_;  // empty: the catalogue was not read
  Array<uint32_t> group_offsets_;
  Array<uint32_t> group_popular_;
  std::optional<BoostedTrees> trees_;
  std::optional<NextBasketModel> next_basket_;
  Array<float> history_frequency_;
  Array<uint32_t> history_baskets_;
  Array<uint64_t> content_offsets_;  // empty: none
  Array<uint32_t> content_entries_;
  Array<float> vectors_;
  size_t vector_dimension_ = 0;
};

}  // namespace starling::learning
