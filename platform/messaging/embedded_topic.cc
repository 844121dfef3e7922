#include "platform/messaging/embedded_topic.h"

#include <algorithm>

namespace starling::messaging {

Status EmbeddedTopic::LoadGroups() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() == ".group") {
      STARLING_RETURN_IF_ERROR(OpenGroup(entry.path().stem().string()).status());
    }
  }
  return error ? Unavailable("{} cannot be listed: {}", folder_.string(), error.message())
               : OkStatus();
}

StatusOr<std::shared_ptr<EmbeddedTopic::Group>> EmbeddedTopic::OpenGroup(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (const auto at = groups_.find(name); at != groups_.end()) return at->second;
  auto group = std::make_shared<Group>();
  group->name = name;
  STARLING_ASSIGN_OR_RETURN(group->offset,
                            GroupOffset::Open(folder_ / (group->name + ".group"), files_->begin()));
  group->committed = group->offset->offset();
  groups_.emplace(group->name, group);
  return group;
}

std::shared_ptr<EmbeddedTopic::Group> EmbeddedTopic::FindGroup(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto at = groups_.find(name);
  return at == groups_.end() ? nullptr : at->second;
}

std::shared_ptr<EmbeddedTopic::Group> EmbeddedTopic::Slowest() const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Group> slowest;
  for (const auto& [name, group] : groups_) {
    if (group->running && (slowest == nullptr || group->committed < slowest->committed))
      slowest = group;
  }
  return slowest;
}

uint64_t EmbeddedTopic::KeepFrom() const {
  const std::lock_guard lock(mutex_);
  uint64_t keep = files_->end();
  for (const auto& [name, group] : groups_) keep = std::min(keep, group->committed.load());
  return keep;
}

Task<bool> EmbeddedTopic::WaitFor(uint64_t sequence, const std::atomic<bool>& stopping) {
  while (files_->end() <= sequence) {
    if (stopping) co_return false;
    const bool woken = co_await Suspend<bool>([&](Completion<bool> completion) {
      std::unique_lock lock(mutex_);
      // Looked at again under the lock: Wake takes it too, so none is missed.
      if (files_->end() <= sequence && !stopping) {
        waiting_.push_back(std::move(completion));
        return;
      }
      lock.unlock();
      completion(true);
    });
    (void)woken;
  }
  co_return !stopping;
}

void EmbeddedTopic::Wake() {
  std::vector<Completion<bool>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  for (auto& completion : waiting) completion(true);
}

}  // namespace starling::messaging
