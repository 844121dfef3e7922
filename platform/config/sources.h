// Where a configuration comes from, and how its layers become one tree.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/config/node.h"
#include "platform/config/problem.h"
#include "platform/config/source.h"

namespace starling::config {

class ValueType;

struct Sources {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  // A YAML file that must exist; "" for none.
  std::string file;
  // The file's content, when it is not to be read from disk; `file` then only names it.
  std::optional<std::string> file_content;
  // Further YAML files, each over those before.
  std::vector<std::string> more_files;
  // {"grpc.port", "9001"}: what a topology says of this process, and where it says so, for errors.
  Pairs assigned;
  std::string assigned_by;
  // What the cluster says, below the file; none when null.
  std::shared_ptr<Source> cluster;
  // All variables; those without the prefix are passed over.
  Pairs environment;
  std::string environment_prefix = "STARLING_";
  // Variables with the prefix that are no configuration: {"STARLING_CONFIG"}.
  std::vector<std::string> ignored_variables;
  // {"http.port", "9000"} for --set http.port=9000.
  Pairs overrides;
};

// The variables of this process. Read it before other threads may change them.
Sources::Pairs ProcessEnvironment();

// A file's bytes: NOT_FOUND, FAILED_PRECONDITION (no plain file) or RESOURCE_EXHAUSTED above
// `limit` name the path.
StatusOr<std::string> ReadSmallFile(const std::string& path, size_t limit);

// The keys that there are, as the sections and their types say.
class KeySpace {
 public:
  virtual ~KeySpace() = default;
  // The type of a key, through maps and structs; nullptr when there is no such key.
  virtual const ValueType* TypeAt(const std::vector<std::string>& key) const = 0;
  // Every key but those within maps: "http", "http.port".
  virtual const std::vector<std::string>& Keys() const = 0;
  // Prefixes of keys that are right, but that this process does not read.
  virtual const std::vector<std::string>& UnreadPrefixes() const = 0;
};

// Layers 2 to 6 of registry.h, merged; what is wrong with them is added to `problems`.
Node MergeSources(const Sources& sources, const KeySpace& keys, Problems& problems);

// Whether a key is under one of the unread prefixes. `separator` is '_' for a key as a variable
// writes it.
bool IsUnread(const KeySpace& keys, std::string_view key, char separator = '.');

// "is no known key (did you mean 'http.port'?)", to add to `problems`.
void AddUnknownKey(const Origin& origin, const std::string& key, std::string_view name,
                   const std::vector<std::string>& known, Problems& problems);
// " (did you mean 'http.port'?)" or "".
std::string SuggestKey(std::string_view key, const std::vector<std::string>& keys);

}  // namespace starling::config
