// The cluster's part of the configuration, in etcd, watched live:
//
//   etcdctl put /starling/config/base.yaml 'log: {level: warning}'
//   etcdctl put /starling/config/log.level debug
//
//   StatusOr<std::shared_ptr<config::Source>> source = OpenEtcdConfigSource(options);
//   registry.Load({.file = "starling.yaml", .cluster = *source});
//
// A key that ends in .yaml or .yml holds a document of sections, read in the keys' order; any other
// is a key of the configuration with its value, and goes over the documents. config/registry.h says
// what goes over both: file, environment, command line. A process that watches its configuration
// (config/watch.h) has a change in about a second. A wrong value is refused as in a file: the whole
// change, with its key in the log, and the old values stay.
//
// etcd is asked on a thread of the source's own, since a configuration is read before a process has
// threads. While etcd is away what it said last holds. A process that starts then waits up to
// `wait`, and then does not start: UNAVAILABLE; with `required: false` it starts without, and takes
// what etcd says when it is back. Secrets do not belong there: whoever reads etcd reads them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/config/fields.h"
#include "platform/config/registry.h"

namespace starling::discovery {

struct EtcdConfigOptions {
  std::vector<std::string> urls;
  std::string prefix = "/starling/config/";
  Duration wait = std::chrono::seconds(5);
  bool required = true;

  static constexpr const char* kSection = "config.etcd";
  static constexpr const char* kDoc = "the cluster's part of the configuration";
  static void Describe(config::Fields<EtcdConfigOptions>& fields);
};

// INVALID_ARGUMENT says what is wrong with the URLs. Does not wait.
StatusOr<std::shared_ptr<config::Source>> OpenEtcdConfigSource(const EtcdConfigOptions& options);

// Adds etcd to sources that say, by config.etcd, that it has a part of the configuration.
Status AddEtcd(config::Sources& sources);
// The same, and loads them.
Status LoadWithEtcd(config::Sources sources, config::Registry& registry);

}  // namespace starling::discovery
