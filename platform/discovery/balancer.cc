#include "platform/discovery/balancer.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "platform/discovery/balancer_state.h"

namespace starling::discovery {
namespace balancer_internal {

void Node::Observe(Duration took, Instant now, Duration decay) {
  const auto sample = static_cast<double>(std::max<Duration::rep>(took.count(), 1));
  const std::lock_guard lock(latency_mutex);
  const double before = latency.load(std::memory_order_relaxed);
  double after = sample;
  if (before >= 0 && sample < before) {
    const auto age = now.time_since_epoch().count() - measured.load(std::memory_order_relaxed);
    const double kept =
        std::exp(-static_cast<double>(std::max<Instant::rep>(age, 0)) / decay.count());
    after = before * kept + sample * (1 - kept);
  }
  latency.store(after, std::memory_order_relaxed);
  measured.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

double Node::Latency(Instant now, Duration decay) const {
  const double at_last = latency.load(std::memory_order_relaxed);
  if (at_last < 0) return at_last;
  const auto age = now.time_since_epoch().count() - measured.load(std::memory_order_relaxed);
  // Below a 64th of the decay an exponential is not worth its time.
  if (age <= decay.count() / 64) return at_last;
  return at_last * std::exp(-static_cast<double>(age) / static_cast<double>(decay.count()));
}

double Node::Cost(Instant now, Duration decay) const {
  constexpr double kUntested = 1e15;  // ns: more than any answer takes
  const int calls = std::max(outstanding.load(std::memory_order_relaxed), 0);
  const double expected = Latency(now, decay);
  if (expected < 0) return calls == 0 ? 0 : kUntested * calls;
  return (static_cast<double>(calls) / endpoint.weight + 1) * expected;
}

void Pool::Add(std::shared_ptr<Node> node) { nodes.push_back(std::move(node)); }

void Pool::Close() {
  const auto other = std::find_if(nodes.begin(), nodes.end(), [&](const auto& node) {
    return node->endpoint.weight != nodes.front()->endpoint.weight;
  });
  if (other == nodes.end()) return;
  uint64_t sum = 0;
  for (const auto& node : nodes) sums.push_back(sum += node->endpoint.weight);
}

std::pair<const std::shared_ptr<Node>*, const std::shared_ptr<Node>*> Pool::Two(
    uint64_t random) const {
  const size_t count = nodes.size();
  if (count == 1) return {nodes.data(), nodes.data()};
  const uint64_t low = random & 0xffffffff;
  const uint64_t high = random >> 32;
  if (sums.empty()) {
    const size_t first = (low * count) >> 32;
    size_t second = (high * (count - 1)) >> 32;
    if (second >= first) ++second;
    return {&nodes[first], &nodes[second]};
  }
  const auto at = [&](uint64_t part) {
    const auto point =
        static_cast<uint64_t>((static_cast<unsigned __int128>(part) * sums.back()) >> 32);
    return std::upper_bound(sums.begin(), sums.end(), point) - sums.begin();
  };
  return {&nodes[at(low)], &nodes[at(high)]};
}

// SplitMix64 (Steele, Lea, Flood, 2014), whose state is a counter: no lock, and a seed gives the
// same choices again.
uint64_t State::NextRandom() {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  uint64_t z = random.fetch_add(kGolden, std::memory_order_relaxed) + kGolden;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace balancer_internal

using balancer_internal::Node;
using balancer_internal::Nodes;
using balancer_internal::Pool;
using balancer_internal::State;
using balancer_internal::View;

Pick::Pick(std::shared_ptr<Node> node, std::shared_ptr<State> state, Instant start)
    : node_(std::move(node)), state_(std::move(state)), start_(start) {
  node_->outstanding.fetch_add(1, std::memory_order_relaxed);
}

Pick& Pick::operator=(Pick&& other) noexcept {
  if (this == &other) return *this;
  if (state_ != nullptr) (void)End(Outcome::kCancelled);
  node_ = std::move(other.node_);
  state_ = std::move(other.state_);
  start_ = other.start_;
  return *this;
}

Pick::~Pick() {
  if (state_ != nullptr) (void)End(Outcome::kCancelled);
}

const Endpoint& Pick::endpoint() const { return node_->endpoint; }
void* Pick::Connection() const { return node_->connection.get(); }
void Pick::Succeeded() { (void)End(Outcome::kSucceeded); }
void Pick::Overloaded() { (void)End(Outcome::kOverloaded); }
bool Pick::Failed() { return End(Outcome::kFailed); }
void Pick::Cancelled() { (void)End(Outcome::kCancelled); }

bool Pick::End(Outcome outcome) {
  if (state_ == nullptr) return false;
  const std::shared_ptr<State> state = std::move(state_);
  Node& node = *node_;
  const Duration decay = state->options.latency_decay;
  node.outstanding.fetch_sub(1, std::memory_order_relaxed);
  const Instant now = state->clock.MonotonicNow();
  if (outcome == Outcome::kSucceeded) {
    node.Observe(now - start_, now, decay);
    node.refusing.store(false, std::memory_order_relaxed);
    node.failures_in_a_row.store(0, std::memory_order_relaxed);
    node.succeeded.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (outcome == Outcome::kOverloaded) {
    // Decays as any latency does, so that it is soon tried again; refusals do not add up.
    constexpr double kLeast = 10e6;  // ns
    constexpr double kMost = 1e9;
    const double known = std::max(node.Latency(now, decay), 0.0);
    node.Observe(Duration(static_cast<Duration::rep>(
                     std::clamp(node.refusing.exchange(true) ? known : 4 * known, kLeast, kMost))),
                 now, decay);
    node.failures_in_a_row.store(0, std::memory_order_relaxed);
    node.succeeded.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  // A call that did not succeed never makes an endpoint look quicker than it is.
  const double latency = node.Latency(now, decay);
  if (latency >= 0 && static_cast<double>((now - start_).count()) > latency)
    node.Observe(now - start_, now, decay);
  if (outcome == Outcome::kCancelled) return false;
  node.failed.fetch_add(1, std::memory_order_relaxed);
  const int in_a_row = node.failures_in_a_row.fetch_add(1, std::memory_order_relaxed) + 1;
  return in_a_row >= state->options.consecutive_failures && state->EjectForFailures(node, now);
}

Balancer::Balancer(Options options, const Clock& clock, uint64_t seed, Open open)
    : state_(std::make_shared<State>(std::move(options), clock, seed, std::move(open))) {}

Balancer::~Balancer() = default;

void Balancer::SetEndpoints(std::vector<Endpoint> endpoints) {
  State& state = *state_;
  std::set<std::pair<std::string, std::string>> named;
  const std::lock_guard lock(state.mutex);
  Nodes next;
  for (Endpoint& endpoint : endpoints) {
    if (!named.emplace(endpoint.address, endpoint.instance).second) continue;
    endpoint.weight = std::max<uint32_t>(endpoint.weight, 1);
    const auto known = std::find_if(state.nodes.begin(), state.nodes.end(), [&](const auto& node) {
      return node->endpoint.address == endpoint.address &&
             node->endpoint.instance == endpoint.instance;
    });
    if (known != state.nodes.end() && (*known)->endpoint == endpoint) {
      next.push_back(*known);
    } else if (known != state.nodes.end()) {
      // The same process with another zone, weight or contract: what is known of it stays.
      const Node& before = **known;
      auto node = std::make_shared<Node>(std::move(endpoint), before.connection);
      node->latency = before.latency.load();
      node->measured = before.measured.load();
      node->failures_in_a_row = before.failures_in_a_row.load();
      node->ejected = before.ejected;
      node->back = before.back;
      node->row = before.row;
      node->ejections = before.ejections;
      next.push_back(std::move(node));
    } else {
      std::shared_ptr<void> connection = state.open ? state.open(endpoint) : nullptr;
      next.push_back(std::make_shared<Node>(std::move(endpoint), std::move(connection)));
    }
  }
  state.nodes = std::move(next);
  state.Publish();
}

namespace {

// Nodes of the view that are not to be avoided: of the own zone, else healthy, else any.
Pool Others(const View& view, std::span<const std::string_view> avoid) {
  Pool others;
  for (const Nodes* nodes : {&view.local.nodes, &view.open.nodes, &view.all}) {
    for (const auto& node : *nodes) {
      if (std::find(avoid.begin(), avoid.end(), node->endpoint.address) == avoid.end())
        others.Add(node);
    }
    if (!others.nodes.empty()) break;
  }
  others.Close();
  return others;
}

}  // namespace

StatusOr<Pick> Balancer::Choose(std::span<const std::string_view> avoid) {
  State& state = *state_;
  const Instant now = state.clock.MonotonicNow();
  if (now.time_since_epoch().count() >= state.next_event.load(std::memory_order_relaxed))
    state.Tick(now);
  const std::shared_ptr<const View> view = state.view.load();
  if (view->all.empty()) return Unavailable("no endpoint is known");

  const auto better = [&](const Pool& pool) -> const std::shared_ptr<Node>& {
    const auto [a, b] = pool.Two(state.NextRandom());
    const Duration decay = state.options.latency_decay;
    return a == b || (*a)->Cost(now, decay) <= (*b)->Cost(now, decay) ? *a : *b;
  };
  const auto pick = [&](const std::shared_ptr<Node>& node) { return Pick(node, state_, now); };
  if (!avoid.empty()) {
    const Pool others = Others(*view, avoid);
    if (!others.nodes.empty()) return pick(better(others));
  }
  if (!view->local.nodes.empty()) {
    const std::shared_ptr<Node>& near = better(view->local);
    const auto bound = static_cast<int64_t>(state.options.zone_outstanding) * near->endpoint.weight;
    if (near->outstanding.load(std::memory_order_relaxed) < bound) return pick(near);
  }
  return pick(better(view->open));
}

std::vector<EndpointHealth> Balancer::Health() const {
  State& state = *state_;
  const Instant now = state.clock.MonotonicNow();
  std::vector<EndpointHealth> health;
  const std::lock_guard lock(state.mutex);
  for (const auto& node : state.nodes) {
    const double latency = node->Latency(now, state.options.latency_decay);
    const bool ejected = node->ejected && now < node->back;
    health.push_back({.endpoint = node->endpoint,
                      .outstanding = node->outstanding.load(),
                      .latency = Duration(static_cast<Duration::rep>(std::max(latency, 0.0))),
                      .ejected = ejected,
                      .back_in = ejected ? node->back - now : Duration(0),
                      .ejections = node->ejections});
  }
  return health;
}

}  // namespace starling::discovery
