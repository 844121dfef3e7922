// What a process says of itself, so that the processes of a cluster can be compared: /digest on its
// admin address, three gauges, `starling doctor --cluster`.
//
//   std::vector<ProcessDigest> digests = ...;               // one a process
//   for (const Drift& drift : FindDrift(digests)) ...       // which key, who has which value
//
// Configuration is compared key by key. Left out are the keys in which processes are meant to
// differ: OwnKeys, the one place that says which.
//
// A secret is never in a digest: a keyed hash stands for it (HMAC-SHA256 under a key derived from
// grpc.cluster_key), which is the same where secret and cluster key are. Without a cluster key it
// says only whether there is one.
//
// Gauges: starling_config_digest, starling_contract_digest{package} and starling_models_digest are
// 32 bits of a hash. Two processes drift where max and min of one differ:
//
//   max(starling_config_digest) != min(starling_config_digest)
//
// It is for who sees all processes to say who drifts: a process that asked its peers would need
// their admin addresses, and N of them would ask N times N.
//
// Pure, but for SecretHashes, whose making costs about ten milliseconds.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/config/registry.h"
#include "platform/host/topology.h"

namespace starling::host {

struct ProcessDigest {
  std::string process;  // its name in the topology; "" when it has none
  std::string version;  // of the program
  bool ready = false;
  std::map<std::string, std::string> config;     // by key, without OwnKeys
  std::map<std::string, std::string> contracts;  // by package: 16 hex digits
  std::map<std::string, std::string> models;     // by service: the version that serves
  std::vector<std::string> problems;             // why a change of the configuration was refused
  std::vector<std::string> pending;              // what waits for a restart
};

// JSON, one object; and back. INVALID_ARGUMENT says what is wrong with a text.
std::string WriteDigest(const ProcessDigest& digest);
StatusOr<ProcessDigest> ReadDigest(std::string_view json);

// 16 hex digits of a part of a digest.
std::string DigestOf(const std::map<std::string, std::string>& part);
// The same as a gauge's value: 32 bits, which a double holds.
double GaugeOf(const std::map<std::string, std::string>& part);

// Keys of a process' own: its addresses and ports, and what the topology's `set` says of any
// process.
class OwnKeys {
 public:
  explicit OwnKeys(const TopologyConfig& topology);
  bool Has(std::string_view key) const;

 private:
  std::set<std::string, std::less<>> set_;
};

// What stands for secrets.
class SecretHashes {
 public:
  explicit SecretHashes(std::string_view cluster_key);
  std::string Of(std::string_view key, std::string_view secret) const;

 private:
  std::string derived_;  // "" without a cluster key
};

std::map<std::string, std::string> ComparedConfig(const config::Registry& registry,
                                                  const OwnKeys& own, const SecretHashes& secrets);

// One thing in which processes differ.
struct Drift {
  std::string part;                                         // "config", "contract", "model"
  std::string key;                                          // "log.level"
  std::map<std::string, std::vector<std::string>> holders;  // by value: the processes that have it
};
// Sorted by part and key. Models are compared among those that have one of the service.
std::vector<Drift> FindDrift(const std::vector<ProcessDigest>& digests);
// "config log.level: \"debug\" at catalog; \"info\" at the 7 others".
std::string Describe(const Drift& drift);

}  // namespace starling::host
