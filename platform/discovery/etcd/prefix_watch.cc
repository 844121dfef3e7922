#include "platform/discovery/etcd/prefix_watch.h"

#include <mutex>

#include "platform/discovery/etcd/backoff.h"
#include "platform/telemetry/log.h"

namespace starling::discovery::etcd {

struct PrefixWatch::State {
  State(std::shared_ptr<Client> from, std::string keys, OnChange callback, Duration again)
      : client(std::move(from)),
        prefix(std::move(keys)),
        on_change(std::move(callback)),
        reread(again) {}

  void Tell() {
    const std::lock_guard lock(mutex);
    if (!stop.token().IsCancelled()) on_change(values);
  }
  void Away(const Status& why) {
    if (connected.exchange(false))
      log::Warning("discovery", "etcd is away; what was known of {} stays", prefix).With(why);
  }
  void Back() {
    if (!connected.exchange(true)) log::Info("discovery", "etcd answers for {}", prefix);
  }

  const std::shared_ptr<Client> client;
  const std::string prefix;
  const OnChange on_change;
  const Duration reread;
  CancellationSource stop;
  std::recursive_mutex mutex;  // held during calls; recursive, since one may end the watch
  std::atomic<bool> connected{false};
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> watches{0};

  // Of the coroutine.
  Values values;
  std::string cluster;
  int64_t next = 0;  // the first revision that is not in `values`; 0: none is
};

PrefixWatch::PrefixWatch(std::shared_ptr<Client> client, const Executor& executor,
                         std::string prefix, OnChange on_change, Duration reread)
    : state_(std::make_shared<State>(std::move(client), std::move(prefix), std::move(on_change),
                                     reread)) {
  Spawn(executor, Run(state_));
}

PrefixWatch::~PrefixWatch() {
  state_->stop.Cancel();
  const std::lock_guard lock(state_->mutex);
}

bool PrefixWatch::connected() const { return state_->connected; }
uint64_t PrefixWatch::reads() const { return state_->reads; }
uint64_t PrefixWatch::watches() const { return state_->watches; }

Task<void> PrefixWatch::Run(std::shared_ptr<State> state) {
  const CancellationToken until = state->stop.token();
  Backoff backoff(std::chrono::milliseconds(100), std::chrono::seconds(2));
  Instant read_at;
  while (!until.IsCancelled()) {
    const Instant now = std::chrono::steady_clock::now();
    if (state->next == 0 || now - read_at >= state->reread) {
      StatusOr<RangeAnswer> all = co_await state->client->Range(state->prefix);
      if (until.IsCancelled()) co_return;
      if (!all.ok()) {
        state->Away(all.status());
        co_await SleepFor(backoff.Next());
        continue;
      }
      read_at = now;
      ++state->reads;
      state->Back();
      const bool changed = state->reads == 1 || all->values != state->values;
      state->values = std::move(all->values);
      state->cluster = all->header.cluster;
      state->next = all->header.revision + 1;
      if (changed) state->Tell();
    }
    ++state->watches;
    bool heard = false;
    const auto on_answer = [&](WatchAnswer answer) -> Status {
      heard = true;
      backoff.Reset();
      state->Back();
      if (answer.compacted != 0)
        return OutOfRange("etcd has forgotten revisions before {}", answer.compacted);
      if (answer.canceled) return Unavailable("etcd ended the watch: {}", answer.reason);
      if (answer.header.cluster != state->cluster || answer.header.revision + 1 < state->next)
        return OutOfRange("etcd has another history than before");
      for (Change& change : answer.changes) {
        if (change.value) {
          state->values.insert_or_assign(change.key, *std::move(change.value));
        } else {
          state->values.erase(change.key);
        }
      }
      // The first line of a watch tells how far etcd is, not what has been sent.
      if (!answer.created) state->next = answer.header.revision + 1;
      if (!answer.changes.empty()) state->Tell();
      return OkStatus();
    };
    const Status ended =
        co_await state->client->Watch(state->prefix, state->next, on_answer, until);
    if (until.IsCancelled()) co_return;
    if (ended.code() == StatusCode::kOutOfRange) {
      log::Warning("discovery", "all of {} is read again", state->prefix).With(ended);
      state->next = 0;
    } else if (!heard || ended.code() != StatusCode::kDeadlineExceeded) {
      state->Away(ended);
      co_await SleepFor(backoff.Next());
    }
  }
}

}  // namespace starling::discovery::etcd
