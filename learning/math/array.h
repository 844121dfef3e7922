// An immutable array that owns its values or looks at memory that somebody else keeps alive.
//
//   Array<float> fitted(std::move(vector));             // owns
//   Array<float> mapped(section, mapping);              // a view; `mapping` is kept as long as it
//   std::span<const float> values = mapped;
//
// What lets a fitted model and one opened from a mapped file be the same class. Copies are cheap:
// they share. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace starling::learning {

template <typename T>
class Array {
 public:
  using value_type = T;
  using const_iterator = typename std::span<const T>::iterator;

  Array() = default;
  explicit Array(std::vector<T> values) {
    auto owned = std::make_shared<const std::vector<T>>(std::move(values));
    view_ = *owned;
    owner_ = std::move(owned);
  }
  // owner may be nullptr when the memory outlives every copy for another reason.
  Array(std::span<const T> view, std::shared_ptr<const void> owner)
      : view_(view), owner_(std::move(owner)) {}

  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  const T* data() const { return view_.data(); }
  const T& operator[](size_t index) const { return view_[index]; }
  auto begin() const { return view_.begin(); }
  auto end() const { return view_.end(); }
  std::span<const T> span() const { return view_; }
  std::span<const T> subspan(size_t begin, size_t count) const {
    return view_.subspan(begin, count);
  }
  operator std::span<const T>() const { return view_; }  // NOLINT(google-explicit-constructor)

 private:
  std::span<const T> view_;
  std::shared_ptr<const void> owner_;
};

}  // namespace starling::learning
