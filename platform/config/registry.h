// The configuration of a process: typed sections, filled from layered sources, read again while it
// runs.
//
//   config::Registry registry;
//   config::Handle<HttpOptions> http = registry.Section<HttpOptions>("http", "the public API");
//   Status loaded = registry.Load({.file = "starling.yaml",
//                                  .environment = config::ProcessEnvironment(),
//                                  .overrides = {{"http.port", "9000"}}});
//   int port = http.Get()->port;
//   StatusOr<config::Report> report = registry.Reload();  // or let watch.h do it
//
// Layers, each over the one before:
//   1. defaults: the initialisers of the section's struct
//   2. what the cluster keeps, when a source of it is given (source.h)
//   3. the YAML files, each over the one before
//   4. what a topology says of this process
//   5. the environment: STARLING_ and the key in capitals, its dots as underscores:
//      http.idle_timeout is STARLING_HTTP_IDLE_TIMEOUT. Two underscores stand for a dot wherever
//      one would not do, above all in the keys of maps: peers.catalog.address is
//      STARLING_PEERS__CATALOG__ADDRESS. (A map's key with other characters than [a-z0-9_] cannot
//      be said in the environment: use the file or --set.)
//   6. the command line: --set http.port=9000
// A list in 4, 5 and 6 is "a, b" or "[a, b]"; a map or a section is "{name: value}". Maps of
// different sources are merged key by key; lists are replaced, and so are a map's defaults. A
// secret `key` may be given as `key_file`, the path of its file.
//
// A load takes everything or nothing. Its error is INVALID_ARGUMENT with a violation for each
// mistake in any source (up to 100): where, which key, which value, what is expected, and for an
// unknown key the nearest right one. Unknown STARLING_ variables are mistakes too, but for
// `ignored_variables` and those that Kubernetes makes for services.
//
// Thread-safe, once every section is registered. Load and Reload block on file reads: not on an io
// thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "platform/base/status.h"
#include "platform/config/fields.h"
#include "platform/config/handle.h"
#include "platform/config/sources.h"

namespace starling::config {

// What a reload changed.
struct Report {
  std::vector<std::string> changed;        // keys that are live with their new value
  std::vector<std::string> needs_restart;  // keys whose running value stays until a restart
};

// A section as the registry holds it, whatever its type.
struct SectionEntry {
  std::string name;
  std::string doc;
  const StructType* type;
  std::type_index cpp_type;
  std::shared_ptr<void> cell;
  std::function<std::shared_ptr<const void>()> get;
  std::function<void(std::shared_ptr<const void>)> set;
  std::function<void(const void*)> notify;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Registers a section before Load; until then the handle gives the defaults. `name` may have
  // dots. The same name and type again gives the same section; another type, or a section within
  // another, is our bug and ends the process.
  template <Described T>
  Handle<T> Section(const std::string& name, const std::string& doc = "");
  // A section (or any prefix of keys; "": all) that is right to have in a source, but that this
  // process does not read.
  void AllowUnread(std::string prefix);

  Status Load(Sources sources);
  // Reads the same sources again. When anything is wrong the running configuration stays, whole.
  // Listeners run before it returns; they must not call Reload.
  StatusOr<Report> Reload();
  // Called after each Reload with its result, on its thread: for the log.
  Subscription OnReload(std::function<void(const StatusOr<Report>&)> callback);

  // Of the newest Load or Reload: what was wrong, and what waits for a restart ("http.port: running
  // 8080, wanted 9000 (starling.yaml:3:9)").
  std::vector<Problem> problems() const;
  std::vector<std::string> PendingRestart() const;
  // Files that the newest Load or Reload read or looked for: the YAML file and those of secrets.
  std::vector<std::string> files() const;
  // What those files are now and which version the cluster's part has: changes when one of them
  // does. Each file's (modification time, size, inode), links followed, so that an editor's rename
  // and a Kubernetes ConfigMap's switched link are seen too. A stat(2) a file.
  std::string Signature() const;
  // The same just before the newest Load or Reload read them; nullopt when it read others than were
  // known before, and so must read again.
  std::optional<std::string> LoadedSignature() const;

  // The running configuration as YAML, each key with its source as comment, secrets as ***.
  std::string Show() const;
  // Every key as a Markdown table: type and bounds, default, whether a change is live, what it is
  // for.
  std::string Documentation() const;
  // The running values by key, each on one line. `of_secret` gives what stands for a secret's
  // value.
  using OfSecret = std::function<std::string(const std::string& key, const std::string& value)>;
  std::map<std::string, std::string> Values(const OfSecret& of_secret) const;
  // 16 hex digits that are equal where the running values are: to compare replicas. Secrets do not
  // count.
  std::string Digest() const;

 private:
  struct State;
  std::shared_ptr<void> FindCell(const std::string& name, std::type_index type) const;
  void Register(SectionEntry entry);
  StatusOr<Report> Apply();

  std::unique_ptr<State> state_;
};

template <Described T>
Handle<T> Registry::Section(const std::string& name, const std::string& doc) {
  using Cell = typename Handle<T>::Cell;
  if (std::shared_ptr<void> known = FindCell(name, typeid(T)))
    return Handle<T>(std::static_pointer_cast<Cell>(known));
  auto cell = std::make_shared<Cell>(std::make_shared<const T>());
  Register({.name = name,
            .doc = doc,
            .type = TypeOf<T>()->AsStruct(),
            .cpp_type = typeid(T),
            .cell = cell,
            .get = [cell] { return std::static_pointer_cast<const void>(cell->snapshot.load()); },
            .set =
                [cell](std::shared_ptr<const void> value) {
                  cell->snapshot.store(std::static_pointer_cast<const T>(std::move(value)));
                },
            .notify = [cell](const void* value) { cell->listeners.Call(value); }});
  return Handle<T>(cell);
}

}  // namespace starling::config
