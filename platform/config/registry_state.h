// What a Registry holds; shared by registry.cc and show.cc.
#pragma once

#include "platform/config/registry.h"

namespace starling::config {

// A key that a source says otherwise than it runs.
struct Pending {
  std::string key;
  std::string running;
  std::string wanted;
  std::string source;
};

// "starling.yaml:3:9", or "default" when no source says the key.
std::string SourceOf(const Node& tree, const std::string& key);

struct Registry::State final : KeySpace {
  const ValueType* TypeAt(const std::vector<std::string>& key) const override;
  const std::vector<std::string>& Keys() const override { return keys; }
  const std::vector<std::string>& UnreadPrefixes() const override { return unread; }

  // Registered before Load, constant after.
  std::vector<SectionEntry> sections;
  std::vector<std::string> keys;
  std::vector<std::string> unread;

  std::mutex reload_mutex;  // one load at a time; held while listeners run
  Sources sources;          // under reload_mutex
  bool loaded = false;      // under reload_mutex
  Listeners reload_listeners;

  mutable std::mutex mutex;          // what follows
  Node tree = Node::Of(Node::kMap);  // the merged sources of the running configuration
  std::vector<Problem> problems;
  std::vector<Pending> pending;
  std::vector<std::string> files;
  std::shared_ptr<Source> cluster;
  std::optional<std::string> loaded_signature;
};

}  // namespace starling::config
