// Read-mostly state: an immutable value behind an atomic pointer. Readers never lock, a change is
// one swap.
//
//   Snapshot<Catalogue> snapshot(std::make_shared<const Catalogue>());
//   std::shared_ptr<const Catalogue> catalogue = snapshot.load();   // good for as long as it is
//   held snapshot.store(std::make_shared<const Catalogue>(...));
//
// Thread-safe. A load costs about 20 ns; it never gives nullptr when none was stored.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace starling {

template <typename T>
class Snapshot {
 public:
  using Pointer = std::shared_ptr<const T>;
  explicit Snapshot(Pointer value) : value_(std::move(value)) {}

#if defined(__SANITIZE_THREAD__)
  // libstdc++ 12 keeps its lock in a bit of the pointer, where ThreadSanitizer cannot see it.
  Pointer load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void store(Pointer value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }

 private:
  mutable std::mutex mutex_;
  Pointer value_;
#else
  Pointer load() const { return value_.load(std::memory_order_acquire); }
  void store(Pointer value) { value_.store(std::move(value), std::memory_order_release); }

 private:
  std::atomic<Pointer> value_;
#endif
};

}  // namespace starling
