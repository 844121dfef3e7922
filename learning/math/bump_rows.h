// Rows of unknown length that several threads find in any order, one after the other in one piece
// of memory.
//
//   BumpRows<float> found(items, most);                // address space for `most` values in all
//   std::span<float> row = found.Take(item, count);    // each row once, from any thread
//   for (float value : found[item]) ...
//
// What is not taken is never touched, so it costs no memory, and all goes back to the system at
// once; a vector a row costs 40 bytes beside its values, and where it was stays a hole. 8 bytes a
// row. Rows not taken are empty; reading waits until all threads are done. Taking more than `most`
// in all is a bug and ends the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace starling::learning {

template <typename T>
class BumpRows {
 public:
  static_assert(std::is_trivially_default_constructible_v<T>, "values are not initialised");

  BumpRows(size_t rows, size_t most)
      : most_(most), values_(std::make_unique_for_overwrite<T[]>(most)), rows_(rows) {}

  std::span<T> Take(size_t row, size_t count) {
    const size_t begin = std::atomic_ref(taken_).fetch_add(count, std::memory_order_relaxed);
    if (begin + count > most_) {
      std::fprintf(stderr, "BumpRows: more than %zu values are taken\n", most_);
      std::abort();
    }
    rows_[row] = {begin, count};
    return {values_.get() + begin, count};
  }
  std::span<const T> operator[](size_t row) const {
    return {values_.get() + rows_[row].begin, rows_[row].count};
  }
  size_t rows() const { return rows_.size(); }
  size_t taken() const { return taken_; }

 private:
  struct Row {
    size_t begin = 0;
    size_t count = 0;
  };
  size_t most_;
  size_t taken_ = 0;
  std::unique_ptr<T[]> values_;
  std::vector<Row> rows_;
};

}  // namespace starling::learning
