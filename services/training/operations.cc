#include "services/training/operations.h"

#include <algorithm>

#include "platform/base/id.h"

namespace starling::training {
namespace {

constexpr size_t kRemembered = 100;

Status NoSuchOperation(std::string_view id) {
  return NotFound("there is no operation '{}'; the newest {} of this process are remembered", id,
                  kRemembered);
}

}  // namespace

const Operations::Entry* Operations::Find(std::string_view id) const {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.operation.operation_id() == id;
  });
  return at == entries_.end() ? nullptr : &*at;
}

Operations::Entry* Operations::Find(std::string_view id) {
  return const_cast<Entry*>(std::as_const(*this).Find(id));
}

StatusOr<v1::Operation> Operations::Begin(std::string_view model, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!entries_.empty() && !entries_.back().operation.done()) {
    return FailedPrecondition(
        "operation {} trains already; wait for it, or end it with POST /v1/operations/{}:cancel",
        entries_.back().operation.operation_id(), entries_.back().operation.operation_id());
  }
  if (entries_.size() == kRemembered) entries_.pop_front();
  v1::Operation& operation = entries_.emplace_back().operation;
  operation.set_operation_id(NewId());
  operation.set_model(std::string(model));
  operation.set_stage("waiting");
  operation.mutable_create_time()->set_seconds(now.time_since_epoch() / std::chrono::seconds(1));
  return operation;
}

bool Operations::Update(std::string_view id, double progress, std::string_view stage) {
  const std::lock_guard lock(mutex_);
  Entry* entry = Find(id);
  if (entry == nullptr || entry->cancelled) return false;
  // What is measured again from the start of its step does not turn the bar back.
  entry->operation.set_progress(std::max(entry->operation.progress(), progress));
  entry->operation.set_stage(std::string(stage));
  return true;
}

bool Operations::Cancelled(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = Find(id);
  return entry == nullptr || entry->cancelled;
}

void Operations::Finish(std::string_view id, const StatusOr<v1::ModelVersion>& result) {
  const std::lock_guard lock(mutex_);
  Entry* entry = Find(id);
  if (entry == nullptr) return;
  entry->operation.set_done(true);
  if (result.ok()) {
    entry->operation.set_progress(1);
    entry->operation.set_stage("done");
    *entry->operation.mutable_result() = *result;
  } else {
    entry->operation.set_error(std::string(result.status().message()));
    entry->operation.set_stage(result.status().code() == StatusCode::kCancelled ? "cancelled"
                                                                                : "failed");
  }
}

std::optional<v1::Operation> Operations::Running() const {
  const std::lock_guard lock(mutex_);
  if (entries_.empty() || entries_.back().operation.done()) return std::nullopt;
  return entries_.back().operation;
}

StatusOr<v1::Operation> Operations::Get(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = Find(id);
  if (entry == nullptr) return NoSuchOperation(id);
  return entry->operation;
}

StatusOr<v1::Operation> Operations::Cancel(std::string_view id) {
  const std::lock_guard lock(mutex_);
  Entry* entry = Find(id);
  if (entry == nullptr) return NoSuchOperation(id);
  entry->cancelled = true;
  return entry->operation;
}

void Operations::CancelAll() {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) entry.cancelled = true;
}

}  // namespace starling::training
