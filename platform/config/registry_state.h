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

  // Whether section `i` is what it runs as, by what the sources say of it. Under reload_mutex.
  bool IsAsBefore(size_t i, const Node* given) const;

  // Registered before Load, constant after.
  std::vector<SectionEntry> sections;
  std::vector<std::string> keys;
  std::vector<std::string> unread;

  std::mutex reload_mutex;  // one load at a time; held while listeners run
  Sources sources;          // under reload_mutex
  bool loaded = false;      // under reload_mutex
  // Of each section of the running configuration: whether a secret of it is in a file, which can
  // change by itself. Under reload_mutex.
  std::vector<bool> reads_files;
  Listeners reload_listeners;

  // What follows. Only a load changes it, so that it reads some of it without.
  mutable std::mutex mutex;
  Node tree = Node::Of(Node::kMap);  // the merged sources of the running configuration
  std::vector<Problem> problems;
  std::vector<Pending> pending;
  std::vector<std::string> files;
  std::shared_ptr<Source> cluster;
  std::optional<std::string> loaded_signature;
};

}  // namespace starling::config
