#include "platform/storage/vector/embedded_collection.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "platform/storage/vector/scan.h"

namespace starling::vector {
namespace {

// An index orders by numbers that are rounded otherwise than the scores: so many more are asked
// for.
constexpr size_t kSlack = 16;

}  // namespace

std::shared_ptr<EmbeddedCollection> EmbeddedCollection::Sorted(const Shape& shape,
                                                               std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.id < b.id; });
  std::shared_ptr<EmbeddedCollection> made(new EmbeddedCollection(shape));
  made->ids_.reserve(entries.size());
  made->rows_.reserve(entries.size() * shape.dimension);
  for (const Entry& entry : entries) {
    made->ids_.emplace_back(entry.id);
    made->rows_.insert(made->rows_.end(), entry.values, entry.values + shape.dimension);
  }
  return made;
}

std::shared_ptr<EmbeddedCollection> EmbeddedCollection::Make(const Shape& shape,
                                                             const Batch& items) {
  return EmbeddedCollection(shape).With(items);
}

std::vector<EmbeddedCollection::Entry> EmbeddedCollection::EntriesWithout(
    std::span<const std::string> ids) const {
  const absl::flat_hash_set<std::string_view> gone(ids.begin(), ids.end());
  std::vector<Entry> entries;
  entries.reserve(size() + ids.size());
  for (size_t i = 0; i < size(); ++i) {
    if (!gone.contains(ids_[i])) entries.push_back({ids_[i], row(i).data()});
  }
  return entries;
}

std::shared_ptr<EmbeddedCollection> EmbeddedCollection::With(const Batch& items) const {
  std::vector<Entry> entries = EntriesWithout(items.ids());
  for (size_t i = 0; i < items.size(); ++i)
    entries.push_back({items.ids()[i], items.row(i).data()});
  return Sorted(shape_, std::move(entries));
}

std::shared_ptr<EmbeddedCollection> EmbeddedCollection::Without(
    std::span<const std::string> ids) const {
  return Sorted(shape_, EntriesWithout(ids));
}

Status EmbeddedCollection::AddIndex(const MakeIndex& make_index) {
  if (size() < kIndexFrom || make_index == nullptr) return OkStatus();
  size_t dimension = shape_.dimension;
  if (shape_.metric == Metric::kCosine) {
    indexed_ = rows_;
    for (size_t i = 0; i < size(); ++i) {
      const float norm = Norm(row(i));
      for (size_t d = 0; d < dimension; ++d) indexed_[i * dimension + d] /= norm;
    }
  } else if (shape_.metric == Metric::kL2) {
    indexed_.reserve(size() * ++dimension);
    for (size_t i = 0; i < size(); ++i) {
      indexed_.insert(indexed_.end(), row(i).begin(), row(i).end());
      indexed_.push_back(-Dot(row(i), row(i)) / 2);
    }
  }
  STARLING_ASSIGN_OR_RETURN(index_, make_index(indexed_.empty() ? rows_ : indexed_, dimension));
  return OkStatus();
}

std::vector<uint32_t> EmbeddedCollection::RowsOf(std::span<const std::string> ids) const {
  std::vector<uint32_t> rows;
  for (const std::string& id : ids) {
    const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at != ids_.end() && *at == id) rows.push_back(static_cast<uint32_t>(at - ids_.begin()));
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<Hit> EmbeddedCollection::Nearest(const Query& query) const {
  const std::vector<uint32_t> excluded = RowsOf(query.excluded);
  std::vector<Found> best;
  if (index_ != nullptr) {
    std::vector<float> asked(query.values.begin(), query.values.end());
    if (shape_.metric == Metric::kL2) asked.push_back(1);
    for (const uint32_t found : index_->Nearest(asked, query.k + kSlack, excluded))
      best.push_back({Score(shape_.metric, query.values, row(found)), found});
    std::sort(best.begin(), best.end());
    if (best.size() > query.k) best.resize(query.k);
  } else {
    best = Scan(rows_, shape_, query.values, query.k, [&](uint32_t row) {
      return !std::binary_search(excluded.begin(), excluded.end(), row);
    });
  }
  std::vector<Hit> hits;
  hits.reserve(best.size());
  for (const Found& found : best) hits.push_back({ids_[found.row], found.score});
  return hits;
}

}  // namespace starling::vector
