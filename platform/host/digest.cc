#include "platform/host/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "platform/base/hash.h"
#include "platform/config/yaml.h"
#include "platform/telemetry/text.h"

namespace starling::host {
namespace {

constexpr char kNone[] = "(none)";

void Append(std::string_view name, const std::map<std::string, std::string>& part,
            std::string& out) {
  out += ',';
  telemetry::AppendJsonString(name, out);
  out += ":{";
  bool first = true;
  for (const auto& [key, value] : part) {
    if (!std::exchange(first, false)) out += ',';
    telemetry::AppendJsonString(key, out);
    out += ':';
    telemetry::AppendJsonString(value, out);
  }
  out += '}';
}

void Append(std::string_view name, const std::vector<std::string>& list, std::string& out) {
  out += ',';
  telemetry::AppendJsonString(name, out);
  out += ":[";
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ',';
    telemetry::AppendJsonString(list[i], out);
  }
  out += ']';
}

std::string TextAt(const config::Node& root, std::string_view key) {
  const config::Node* node = root.Find(key);
  return node == nullptr ? "" : node->text;
}

std::map<std::string, std::string> MapAt(const config::Node& root, std::string_view key) {
  std::map<std::string, std::string> map;
  if (const config::Node* node = root.Find(key)) {
    for (const config::Member& member : node->members) map[member.key] = member.value.text;
  }
  return map;
}

std::vector<std::string> ListAt(const config::Node& root, std::string_view key) {
  std::vector<std::string> list;
  if (const config::Node* node = root.Find(key)) {
    for (const config::Node& item : node->items) list.push_back(item.text);
  }
  return list;
}

using Part = std::map<std::string, std::string> ProcessDigest::*;

void Compare(const std::vector<ProcessDigest>& digests, const char* name, Part part, bool all,
             std::vector<Drift>& drifts) {
  std::map<std::string, Drift> by_key;
  for (const ProcessDigest& digest : digests) {
    for (const auto& [key, value] : digest.*part) {
      Drift& drift = by_key[key];
      drift.holders[value].push_back(digest.process);
    }
  }
  for (auto& [key, drift] : by_key) {
    for (const ProcessDigest& digest : digests) {
      if (all && !(digest.*part).contains(key)) drift.holders[kNone].push_back(digest.process);
    }
    if (drift.holders.size() < 2) continue;
    drift.part = name;
    drift.key = key;
    drifts.push_back(std::move(drift));
  }
}

uint64_t HashOf(const std::map<std::string, std::string>& part) {
  std::string all;
  for (const auto& [key, value] : part) all += key + ": " + value + "\n";
  return Hash64(all);
}

}  // namespace

std::string WriteDigest(const ProcessDigest& digest) {
  std::string out = "{\"process\":";
  telemetry::AppendJsonString(digest.process, out);
  out += ",\"version\":";
  telemetry::AppendJsonString(digest.version, out);
  out += fmt::format(R"(,"ready":{},"digests":{{"config":"{}","contracts":"{}","models":"{}"}})",
                     digest.ready, DigestOf(digest.config), DigestOf(digest.contracts),
                     DigestOf(digest.models));
  Append("config", digest.config, out);
  Append("contracts", digest.contracts, out);
  Append("models", digest.models, out);
  Append("problems", digest.problems, out);
  Append("pending", digest.pending, out);
  return out + "}";
}

StatusOr<ProcessDigest> ReadDigest(std::string_view json) {
  config::Problems problems;
  const std::optional<config::Node> root = config::ParseYaml(json, "digest", problems);
  STARLING_RETURN_IF_ERROR(problems.ToStatus());
  if (!root || root->Find("version") == nullptr || root->Find("config") == nullptr)
    return InvalidArgument("this is no digest of a process");
  return ProcessDigest{.process = TextAt(*root, "process"),
                       .version = TextAt(*root, "version"),
                       .ready = TextAt(*root, "ready") == "true",
                       .config = MapAt(*root, "config"),
                       .contracts = MapAt(*root, "contracts"),
                       .models = MapAt(*root, "models"),
                       .problems = ListAt(*root, "problems"),
                       .pending = ListAt(*root, "pending")};
}

std::string DigestOf(const std::map<std::string, std::string>& part) {
  return fmt::format("{:016x}", HashOf(part));
}

double GaugeOf(const std::map<std::string, std::string>& part) {
  return static_cast<double>(HashOf(part) >> 32);
}

OwnKeys::OwnKeys(const TopologyConfig& topology)
    : set_{"admin.address", "admin.port",   "grpc.address", "grpc.enabled",
           "grpc.port",     "http.address", "http.enabled", "http.port"} {
  for (const auto& [name, process] : topology.processes) {
    for (const auto& [key, value] : process.set) set_.insert(key);
  }
}

bool OwnKeys::Has(std::string_view key) const { return set_.contains(key); }

SecretHashes::SecretHashes(std::string_view cluster_key) {
  if (cluster_key.empty()) return;
  // Slow on purpose: a hash of the cluster key itself is shown too.
  constexpr int kRounds = 20'000;
  constexpr unsigned char kSalt[] = "starling digest of secrets";
  derived_.resize(32);
  PKCS5_PBKDF2_HMAC(cluster_key.data(), static_cast<int>(cluster_key.size()), kSalt,
                    sizeof(kSalt) - 1, kRounds, EVP_sha256(), static_cast<int>(derived_.size()),
                    reinterpret_cast<unsigned char*>(derived_.data()));
}

std::string SecretHashes::Of(std::string_view key, std::string_view secret) const {
  if (secret.empty()) return "";
  if (derived_.empty()) return "***";
  const std::string text = fmt::format("{}={}", key, secret);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), derived_.data(), static_cast<int>(derived_.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash, &size);
  std::string shown = "*** ";
  for (unsigned int i = 0; i < 6; ++i) shown += fmt::format("{:02x}", hash[i]);
  return shown;
}

std::map<std::string, std::string> ComparedConfig(const config::Registry& registry,
                                                  const OwnKeys& own, const SecretHashes& secrets) {
  std::map<std::string, std::string> values = registry.Values(
      [&](const std::string& key, const std::string& value) { return secrets.Of(key, value); });
  std::erase_if(values, [&](const auto& value) { return own.Has(value.first); });
  return values;
}

std::vector<Drift> FindDrift(const std::vector<ProcessDigest>& digests) {
  std::vector<Drift> drifts;
  Compare(digests, "config", &ProcessDigest::config, true, drifts);
  Compare(digests, "contract", &ProcessDigest::contracts, true, drifts);
  Compare(digests, "model", &ProcessDigest::models, false, drifts);
  return drifts;
}

std::string Describe(const Drift& drift) {
  // Most processes are right, it may be hoped: they are counted, the few are named.
  const auto most = std::max_element(
      drift.holders.begin(), drift.holders.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  std::string text = fmt::format("{} {}:", drift.part, drift.key);
  for (const auto& holder : drift.holders) {
    if (holder.first == most->first) continue;
    text += fmt::format(" {} at {};", holder.first, fmt::join(holder.second, ", "));
  }
  const auto& others = most->second;
  return text +
         fmt::format(" {} at {}", most->first,
                     others.size() == 1 ? others.front() : fmt::format("{} others", others.size()));
}

}  // namespace starling::host
