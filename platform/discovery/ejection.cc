// Which endpoints get no calls for a while: balancer.h says when.
#include <algorithm>
#include <cmath>

#include "platform/discovery/balancer_state.h"

namespace starling::discovery::balancer_internal {

bool State::Eject(Node& node, Instant now) {
  if (node.ejected) return false;
  const auto out =
      std::count_if(nodes.begin(), nodes.end(), [](const auto& n) { return n->ejected; });
  if (static_cast<double>(out + 1) > options.max_ejected * static_cast<double>(nodes.size()))
    return false;
  node.ejected = true;
  node.ejected_now = true;
  ++node.row;
  ++node.ejections;
  node.back = now + std::min<Duration>(options.ejection * node.row, options.max_ejection);
  if (options.on_ejection) options.on_ejection(node.endpoint);
  return true;
}

bool State::EjectForFailures(Node& node, Instant now) {
  const std::lock_guard lock(mutex);
  // One that has left, or whose place another has taken, is nobody's concern.
  const auto mine = [&](const auto& n) { return n.get() == &node; };
  if (std::none_of(nodes.begin(), nodes.end(), mine)) return false;
  if (!Eject(node, now)) return false;
  Publish();
  return true;
}

void State::JudgeSuccessRates(Instant now) {
  struct Judged {
    Node* node;
    double rate;
  };
  std::vector<Judged> judged;
  for (const auto& node : nodes) {
    const int succeeded = node->succeeded.exchange(0, std::memory_order_relaxed);
    const int failed = node->failed.exchange(0, std::memory_order_relaxed);
    if (!node->ejected && succeeded + failed >= std::max(options.success_rate_calls, 1))
      judged.push_back({node.get(), static_cast<double>(succeeded) / (succeeded + failed)});
  }
  if (judged.size() < 2) return;
  // Beside the others, not beside all: in a small group one bad endpoint moves mean and deviation
  // so far that it hides behind them. The worst first, while there is room.
  std::sort(judged.begin(), judged.end(),
            [](const Judged& a, const Judged& b) { return a.rate < b.rate; });
  for (const Judged& one : judged) {
    double sum = 0, squares = 0;
    for (const Judged& other : judged) {
      if (&other == &one) continue;
      sum += other.rate;
      squares += other.rate * other.rate;
    }
    const auto others = static_cast<double>(judged.size() - 1);
    const double mean = sum / others;
    const double deviation = std::sqrt(std::max(squares / others - mean * mean, 0.0));
    const double gap =
        std::max(options.success_rate_gap, options.success_rate_deviations * deviation);
    if (one.rate < mean - gap) Eject(*one.node, now);
  }
}

void State::Tick(Instant now) {
  const std::lock_guard lock(mutex);
  if (now >= interval_end) {
    JudgeSuccessRates(now);
    for (const auto& node : nodes) {
      if (!node->ejected && !std::exchange(node->ejected_now, false))
        node->row = std::max(node->row - 1, 0);
    }
    interval_end = now + options.interval;
  }
  for (const auto& node : nodes) {
    if (!node->ejected || now < node->back) continue;
    node->ejected = false;
    // To be tested: its latency is not known any more, and one failure is enough.
    node->latency = -1;
    node->failures_in_a_row = options.consecutive_failures - 1;
  }
  Publish();
}

void State::SetNextEvent() {
  Instant next = interval_end;
  for (const auto& node : nodes) {
    if (node->ejected) next = std::min(next, node->back);
  }
  next_event.store(next.time_since_epoch().count(), std::memory_order_relaxed);
}

void State::Publish() {
  auto next = std::make_shared<View>();
  next->all = nodes;
  for (const auto& node : nodes) {
    if (!node->ejected) next->open.Add(node);
  }
  const auto healthy = static_cast<double>(next->open.nodes.size());
  if (healthy < options.panic * static_cast<double>(nodes.size()) || next->open.nodes.empty())
    next->open.nodes = nodes;
  if (!options.zone.empty()) {
    for (const auto& node : next->open.nodes) {
      if (node->endpoint.zone == options.zone) next->local.Add(node);
    }
    // When all are of the own zone there is nowhere to spill to.
    if (next->local.nodes.size() < std::max<size_t>(options.min_zone_endpoints, 1) ||
        next->local.nodes.size() == next->open.nodes.size())
      next->local.nodes.clear();
  }
  next->open.Close();
  next->local.Close();
  SetNextEvent();
  view.store(std::move(next));
}

}  // namespace starling::discovery::balancer_internal
