// The operations of this process: how far each training is. The newest 100 are remembered.
//
//   STARLING_ASSIGN_OR_RETURN(v1::Operation begun, operations.Begin("recommender", now));
//   operations.Update(id, 0.3, "measuring ease");     // false once it was asked to end
//   operations.Finish(id, version);
//
// Thread-safe; a lock for a few instructions.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "contracts/training/v1/training.pb.h"
#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::training {

class Operations {
 public:
  // FAILED_PRECONDITION names the operation that goes on.
  StatusOr<v1::Operation> Begin(std::string_view model, TimePoint now);
  bool Update(std::string_view id, double progress, std::string_view stage);
  bool Cancelled(std::string_view id) const;
  void Finish(std::string_view id, const StatusOr<v1::ModelVersion>& result);

  // The one that goes on.
  std::optional<v1::Operation> Running() const;
  // NOT_FOUND.
  StatusOr<v1::Operation> Get(std::string_view id) const;
  StatusOr<v1::Operation> Cancel(std::string_view id);
  void CancelAll();

 private:
  struct Entry {
    v1::Operation operation;
    bool cancelled = false;
  };
  const Entry* Find(std::string_view id) const;
  Entry* Find(std::string_view id);

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // newest last
};

}  // namespace starling::training
