#include "services/catalog/catalogue.h"

#include <algorithm>

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
  if (chunks_.empty()) return nullptr;
  const Chunk& chunk = *chunks_[ChunkOf(product_id)];
  const auto at = std::lower_bound(chunk.begin(), chunk.end(), product_id,
                                   [](const ProductPointer& product, std::string_view id) {
                                     return product->product_id() < id;
                                   });
  return at != chunk.end() && (*at)->product_id() == product_id ? at->get() : nullptr;
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
  return next;
}

}  // namespace starling::catalog
