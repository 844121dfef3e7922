// What a Balancer and its Picks share; internal to balancer.cc and ejection.cc.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "platform/base/snapshot.h"
#include "platform/discovery/balancer.h"

namespace starling::discovery::balancer_internal {

// An endpoint and what is known of it.
struct Node {
  Node(Endpoint where, std::shared_ptr<void> opened)
      : endpoint(std::move(where)), connection(std::move(opened)) {}

  // Of a call that ended. `decay` is the time in which an average loses 1 - 1/e of its weight.
  void Observe(Duration latency, Instant now, Duration decay);
  // Expected latency in ns, as far as it has decayed; below 0 when none is known.
  double Latency(Instant now, Duration decay) const;
  double Cost(Instant now, Duration decay) const;

  const Endpoint endpoint;
  const std::shared_ptr<void> connection;
  std::atomic<int> outstanding{0};

  std::mutex latency_mutex;         // of writers
  std::atomic<double> latency{-1};  // ns, at `measured`; below 0: not known
  std::atomic<Instant::rep> measured{0};

  std::atomic<int> failures_in_a_row{0};
  std::atomic<bool> refusing{false};  // its last answer was that it is overloaded
  std::atomic<int> succeeded{0};      // in this interval
  std::atomic<int> failed{0};

  // Under State::mutex.
  bool ejected = false;
  Instant back;              // when ejected
  int row = 0;               // ejections that are not yet forgotten
  bool ejected_now = false;  // in this interval
  uint64_t ejections = 0;
};

using Nodes = std::vector<std::shared_ptr<Node>>;

// Nodes to choose from, with the sums of their weights up to each; no sums when all are alike.
struct Pool {
  void Add(std::shared_ptr<Node> node);
  void Close();  // after the last Add
  // Two nodes, drawn by `random`: different ones when weights are alike and there are two. With
  // weights, one by one, maybe the same twice: were both of two always drawn, a weight of 1 beside
  // 99 would get half of the calls. Never when empty.
  std::pair<const std::shared_ptr<Node>*, const std::shared_ptr<Node>*> Two(uint64_t random) const;

  Nodes nodes;
  std::vector<uint64_t> sums;
};

// What Choose reads.
struct View {
  Nodes all;
  Pool open;   // healthy ones; all of them in panic
  Pool local;  // of the own zone among them; empty when they are too few
};

struct State {
  State(BalancerOptions o, const Clock& c, uint64_t seed, Balancer::Open opener)
      : options(std::move(o)),
        clock(c),
        open(std::move(opener)),
        random(seed),
        interval_end(c.MonotonicNow() + options.interval) {
    next_event = interval_end.time_since_epoch().count();
  }

  // After `now` has reached next_event: ends the interval, brings back who was out long enough.
  void Tick(Instant now);
  // A node has failed often enough; gives whether it is ejected for it.
  bool EjectForFailures(Node& node, Instant now);
  void Publish();  // under mutex
  uint64_t NextRandom();

  const BalancerOptions options;
  const Clock& clock;
  const Balancer::Open open;
  std::atomic<uint64_t> random;
  std::atomic<Instant::rep> next_event{0};
  Snapshot<View> view{std::make_shared<const View>()};

  std::mutex mutex;
  Nodes nodes;
  Instant interval_end;

 private:
  bool Eject(Node& node, Instant now);
  void JudgeSuccessRates(Instant now);
  void SetNextEvent();
};

}  // namespace starling::discovery::balancer_internal
