// One topic of the embedded log: its files, and who waits for its next event. Within messaging
// only.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "platform/messaging/group_offset.h"
#include "platform/messaging/topic_files.h"

namespace starling::messaging {

// Thread-safe.
class EmbeddedTopic {
 public:
  struct Group {
    std::string name;
    std::unique_ptr<GroupOffset> offset;  // used by the subscription alone
    std::atomic<uint64_t> committed{1};
    std::atomic<bool> running{false};
  };

  EmbeddedTopic(std::string name, std::filesystem::path folder, std::unique_ptr<TopicFiles> files)
      : name_(std::move(name)), folder_(std::move(folder)), files_(std::move(files)) {}
  // Knows the groups that have files.
  Status LoadGroups();

  const std::string& name() const { return name_; }
  TopicFiles& files() { return *files_; }
  const TopicFiles& files() const { return *files_; }

  // A group that never was begins at the first event that is there.
  StatusOr<std::shared_ptr<Group>> OpenGroup(std::string_view name);
  std::shared_ptr<Group> FindGroup(std::string_view name) const;
  // The running group that is furthest behind, or nullptr.
  std::shared_ptr<Group> Slowest() const;
  // The first sequence that some group has yet to accept.
  uint64_t KeepFrom() const;

  // Gives true once there are events from `sequence` on, false once `Wake` was called for shutdown.
  Task<bool> WaitFor(uint64_t sequence, const std::atomic<bool>& stopping);
  void Wake();

 private:
  const std::string name_;
  const std::filesystem::path folder_;
  const std::unique_ptr<TopicFiles> files_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Group>, std::less<>> groups_;
  std::vector<Completion<bool>> waiting_;
};

}  // namespace starling::messaging
