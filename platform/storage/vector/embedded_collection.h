// One collection of the embedded adapter in memory: rows in the order of their ids, and an index
// over many of them.
//
//   std::shared_ptr<const EmbeddedCollection> made =
//       EmbeddedCollection::Make(shape, items).WithIndex(make_index).value();
//   std::vector<Hit> near = made->Nearest(query);
//
// The index knows inner products alone, so it is given rows for which these order as the metric
// does, beside the rows themselves:
//   kCosine   x / |x|
//   kL2       (x, -|x|^2 / 2), and queries (q, 1):  -|q - x|^2 = 2 (q.x - |x|^2 / 2) - |q|^2
//
// Immutable and thread-safe once it is shared.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/storage/vector/index.h"
#include "platform/storage/vector/store.h"

namespace starling::vector {

class EmbeddedCollection {
 public:
  // Items in any order, no id twice.
  static std::shared_ptr<EmbeddedCollection> Make(const Shape& shape, const Batch& items);
  // Before it is shared; does nothing for fewer than kIndexFrom rows, and without `make_index`.
  Status AddIndex(const MakeIndex& make_index);
  // Without an index: who changes a little is not made to wait for a new one. Copies the rows.
  std::shared_ptr<EmbeddedCollection> With(const Batch& items) const;
  std::shared_ptr<EmbeddedCollection> Without(std::span<const std::string> ids) const;

  const Shape& shape() const { return shape_; }
  size_t size() const { return ids_.size(); }
  bool has_index() const { return index_ != nullptr; }
  // The query is checked.
  std::vector<Hit> Nearest(const Query& query) const;

 private:
  struct Entry {
    std::string_view id;
    const float* values;
  };
  explicit EmbeddedCollection(const Shape& shape) : shape_(shape) {}
  static std::shared_ptr<EmbeddedCollection> Sorted(const Shape& shape, std::vector<Entry> entries);
  std::vector<Entry> EntriesWithout(std::span<const std::string> ids) const;
  std::span<const float> row(size_t i) const {
    return std::span(rows_).subspan(i * shape_.dimension, shape_.dimension);
  }
  // Rows of these ids, ascending.
  std::vector<uint32_t> RowsOf(std::span<const std::string> ids) const;

  Shape shape_;
  std::vector<std::string> ids_;  // ascending
  std::vector<float> rows_;
  std::vector<float> indexed_;  // empty: rows_ themselves are
  std::unique_ptr<Index> index_;
};

}  // namespace starling::vector
