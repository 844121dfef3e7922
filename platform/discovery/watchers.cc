#include "platform/discovery/watchers.h"

#include <algorithm>

namespace starling::discovery {

// One who watches. `mutex` is held while it is called, and recursive since it may end its own
// watch.
struct Watchers::Watcher {
  explicit Watcher(Resolver::OnChange callback) : on_change(std::move(callback)) {}

  // Two may come with lists at the same time: the older is left out, whoever comes first.
  void Tell(uint64_t version, const std::vector<Endpoint>& endpoints) {
    const std::lock_guard lock(mutex);
    if (ended || version <= told) return;
    told = version;
    on_change(endpoints);
  }

  std::recursive_mutex mutex;
  const Resolver::OnChange on_change;
  uint64_t told = 0;
  bool ended = false;
};

struct Watchers::State {
  struct Service {
    std::optional<std::vector<Endpoint>> endpoints;
    uint64_t version = 0;  // of `endpoints`
    std::list<std::shared_ptr<Watcher>> watchers;
  };
  std::mutex mutex;
  std::map<std::string, Service> services;
};

class Watchers::Held final : public Watch {
 public:
  Held(std::weak_ptr<State> state, std::string service, std::shared_ptr<Watcher> watcher)
      : state_(std::move(state)), service_(std::move(service)), watcher_(std::move(watcher)) {}
  ~Held() override {
    if (const auto state = state_.lock()) {
      const std::lock_guard lock(state->mutex);
      state->services[service_].watchers.remove(watcher_);
    }
    const std::lock_guard lock(watcher_->mutex);
    watcher_->ended = true;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  const std::weak_ptr<State> state_;
  const std::string service_;
  const std::shared_ptr<Watcher> watcher_;
};

Watchers::Watchers() : state_(std::make_shared<State>()) {}
Watchers::~Watchers() = default;

std::unique_ptr<Watch> Watchers::Add(const std::string& service, Resolver::OnChange on_change) {
  auto watcher = std::make_shared<Watcher>(std::move(on_change));
  std::optional<std::vector<Endpoint>> known;
  uint64_t version = 0;
  {
    const std::lock_guard lock(state_->mutex);
    State::Service& entry = state_->services[service];
    entry.watchers.push_back(watcher);
    known = entry.endpoints;
    version = entry.version;
  }
  if (known) watcher->Tell(version, *known);
  return std::make_unique<Held>(state_, service, std::move(watcher));
}

void Watchers::Set(const std::string& service, std::vector<Endpoint> endpoints) {
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  std::vector<std::shared_ptr<Watcher>> watchers;
  uint64_t version = 0;
  {
    const std::lock_guard lock(state_->mutex);
    State::Service& entry = state_->services[service];
    if (entry.endpoints == endpoints) return;
    entry.endpoints = endpoints;
    version = ++entry.version;
    watchers.assign(entry.watchers.begin(), entry.watchers.end());
  }
  for (const auto& watcher : watchers) watcher->Tell(version, endpoints);
}

std::optional<std::vector<Endpoint>> Watchers::Get(const std::string& service) const {
  const std::lock_guard lock(state_->mutex);
  const auto entry = state_->services.find(service);
  return entry == state_->services.end() ? std::nullopt : entry->second.endpoints;
}

}  // namespace starling::discovery
