// A source of a configuration beside the file, the environment and the command line: what a cluster
// keeps for all its processes, in etcd for one (platform/discovery/etcd/config_source.h). It stands
// below the file: who is nearer to the process has the last word, so that one machine can be told
// otherwise, also when what the cluster says is bad.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/status.h"

namespace starling::config {

class Source {
 public:
  // Later documents go over earlier ones, values of keys over all documents.
  struct Document {
    std::string name;  // for messages: "etcd:/starling/config/base.yaml"
    std::string key;   // "http.port": the content is its value, as in the environment; "": YAML
    std::string content;
  };
  virtual ~Source() = default;
  // All that is known now. An error when nothing ever was; may then wait for as long as the source
  // says. Thread-safe.
  virtual StatusOr<std::vector<Document>> Read() = 0;
  // Another number when Read would give something else. Never waits; thread-safe.
  virtual uint64_t version() const = 0;
};

}  // namespace starling::config
