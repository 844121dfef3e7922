// Marks a thread as one of a database's own, on which blocking on the database could wait for ever.
#pragma once

namespace starling::sql {

class OwnerThread {
 public:
  explicit OwnerThread(const void* owner) : outer_(current) { current = owner; }
  ~OwnerThread() { current = outer_; }
  OwnerThread(const OwnerThread&) = delete;
  OwnerThread& operator=(const OwnerThread&) = delete;
  static bool Is(const void* owner) { return current == owner; }

 private:
  inline static thread_local const void* current = nullptr;
  const void* const outer_;
};

}  // namespace starling::sql
