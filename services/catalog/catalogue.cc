#include "services/catalog/catalogue.h"

#include <algorithm>
#include <bit>

#include "platform/base/hash.h"

namespace starling::catalog {

size_t Catalogue::ChunkOf(std::string_view product_id) const {
  const auto after =
      std::upper_bound(chunks_.begin(), chunks_.end(), product_id,
                       [](std::string_view id, const std::shared_ptr<const Chunk>& chunk) {
                         return id < chunk->front()->product_id();
                       });
  return after == chunks_.begin() ? 0 : static_cast<size_t>(after - chunks_.begin()) - 1;
}

const v1::Product* Catalogue::Find(std::string_view product_id) const {
  if (groups_.empty()) return nullptr;
  const uint64_t hash = Hash64(product_id);
  for (const Hashed& entry : *BucketOf(hash)) {
    if (entry.hash == hash && entry.product->product_id() == product_id) return entry.product.get();
  }
  return nullptr;
}

void Catalogue::Index(const Catalogue& before, const Changes& changes) {
  const size_t wanted = std::bit_ceil(std::max<size_t>(1, size_ / kPerBucket / kPerGroup));
  if (wanted > before.groups_.size()) {
    groups_.resize(wanted);
    std::vector<Bucket> buckets(wanted * kPerGroup);
    for (const auto& chunk : chunks_) {
      for (const ProductPointer& product : *chunk) {
        const uint64_t hash = Hash64(product->product_id());
        buckets[GroupOf(hash) * kPerGroup + hash % kPerGroup].push_back({hash, product});
      }
    }
    for (size_t g = 0; g < wanted; ++g) {
      auto group = std::make_shared<Group>();
      for (size_t b = 0; b < kPerGroup; ++b) {
        Bucket& bucket = buckets[g * kPerGroup + b];
        bucket.shrink_to_fit();
        (*group)[b] = std::make_shared<const Bucket>(std::move(bucket));
      }
      groups_[g] = std::move(group);
    }
    return;
  }
  groups_ = before.groups_;
  std::map<size_t, std::shared_ptr<Group>> changed;  // by the place in groups_
  std::map<const Bucket*, std::shared_ptr<Bucket>> copies;
  for (const auto& [id, product] : changes) {
    const uint64_t hash = Hash64(id);
    auto& group = changed[GroupOf(hash)];
    if (group == nullptr) group = std::make_shared<Group>(*groups_[GroupOf(hash)]);
    auto& place = (*group)[hash % kPerGroup];
    auto& bucket = copies[BucketOf(hash).get()];
    if (bucket == nullptr) {
      bucket = std::make_shared<Bucket>(*place);
      place = bucket;
    }
    std::erase_if(*bucket, [&](const Hashed& old) { return old.product->product_id() == id; });
    if (product != nullptr) bucket->push_back({hash, product});
  }
  for (auto& [at, group] : changed) groups_[at] = std::move(group);
}

Catalogue Catalogue::With(const Changes& changes, int64_t sequence) const {
  Catalogue next;
  next.sequence_ = sequence;
  next.size_ = size_;
  next.chunks_.reserve(chunks_.size() + changes.size() / kChunkLimit + 1);
  auto change = changes.begin();
  for (size_t c = 0; c < std::max<size_t>(chunks_.size(), 1); ++c) {
    // The changes that belong to this chunk: those before the next chunk's first id.
    const bool last = c + 1 >= chunks_.size();
    const auto end =
        last ? changes.end() : changes.lower_bound(chunks_[c + 1]->front()->product_id());
    if (change == end) {
      if (c < chunks_.size()) next.chunks_.push_back(chunks_[c]);
      continue;
    }
    Chunk merged;
    static const Chunk kEmpty;
    const Chunk& old = c < chunks_.size() ? *chunks_[c] : kEmpty;
    merged.reserve(old.size() + static_cast<size_t>(std::distance(change, end)));
    auto kept = old.begin();
    for (; change != end; ++change) {
      while (kept != old.end() && (*kept)->product_id() < change->first) merged.push_back(*kept++);
      const bool existed = kept != old.end() && (*kept)->product_id() == change->first;
      if (existed) {
        ++kept;
        --next.size_;
      }
      if (change->second != nullptr) {
        merged.push_back(change->second);
        ++next.size_;
      }
    }
    merged.insert(merged.end(), kept, old.end());
    // Halves, not full chunks: the next product of a full chunk would split it again.
    const size_t pieces = merged.size() <= kChunkLimit
                              ? 1
                              : (merged.size() + kChunkLimit / 2 - 1) / (kChunkLimit / 2);
    for (size_t piece = 0; piece < pieces; ++piece) {
      const auto from =
          merged.begin() + static_cast<std::ptrdiff_t>(merged.size() * piece / pieces);
      const auto to =
          merged.begin() + static_cast<std::ptrdiff_t>(merged.size() * (piece + 1) / pieces);
      if (from != to) next.chunks_.push_back(std::make_shared<const Chunk>(from, to));
    }
  }
  next.Index(*this, changes);
  return next;
}

}  // namespace starling::catalog
